"""Every method that has a file: its configuration, its promises, and the real stage on a two-layer model."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rl_methods import TRAINED_HERE, estimator_of, steps_reward
from rl_world import make_config, make_context, make_model_folder, make_trainer
from trl.trainer import grpo_trainer

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import BudgetConfig, RLConfig
from dsm_repro.config.schema import Config
from dsm_repro.rl import estimators, exploration, objectives, run
from dsm_repro.rl.estimators import Signals, Steps
from dsm_repro.rl.questions import questions_of_step
from dsm_repro.rl.rewards import Completions, Rewards
from dsm_repro.rl.stage import STAGE
from dsm_repro.training.models import load_model

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "conf" / "rl").glob("*.yaml"))}
GROUP_BASELINE = ["cispo", "dapo", "dr_grpo", "grpo", "grpo_process", "gspo", "rloo"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.fixture
def varied_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random model answers nothing: give it a reward that differs within groups, for steps too."""
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)


def signals(rewards: list[float], group_size: int, equal_steps: bool = False) -> Signals:
    """Outputs of one or two tokens by turns, at the reference; a limit of 2."""
    count = len(rewards)
    mask = torch.tensor([[1.0, float(i % 2)] for i in range(count)], dtype=torch.float64)
    logps = -0.5 * mask
    given = torch.tensor(rewards, dtype=torch.float64)
    step = [0.3] * count if equal_steps else rewards
    steps = Steps([[r] for r in step], [[i % 2] for i in range(count)])
    return Signals(given, mask, logps, logps, group_size, given > 0, 2, steps)


def test_every_method_has_a_level_and_every_level_a_method() -> None:
    assert set(LEVELS) - {"none"} == set(estimators.names())


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_says_its_command_and_lists_the_options_of_its_method(name: str) -> None:
    text = (ROOT / "conf" / "rl" / f"{name}.yaml").read_text().splitlines()
    assert f"{text[0]} ".startswith(f"# dsm run rl={name} ") and text[1].startswith("# ")
    level = LEVELS[name]
    assert level["method"] == name
    if name == "none":
        return
    kind = getattr(importlib.import_module(f"dsm_repro.rl.estimators.{name}"), "Options", None)
    defaults = {} if kind is None else {field.name: field.default for field in fields(kind)}
    assert level.get("options", {}) == defaults


@pytest.mark.parametrize("name", estimators.names())
def test_an_option_that_a_method_does_not_have_is_refused(name: str) -> None:
    config = make_config(name).rl
    config.options = {"warmth": 1.0}
    with pytest.raises(ConfigError, match=r"rl\.options\.warmth"):
        estimators.build(config)


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        ("dapo", "clip_low", 0.0),
        ("dapo", "clip_high", -0.1),
        ("dapo", "max_draws", 0),
        ("dapo", "overlong_share", 1.0),
        ("dapo", "overlong_penalty", -0.5),
        ("gspo", "clip_high", 0.0),
        ("cispo", "clip_high", 0.0),
        ("ppo", "gamma", 1.5),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(method: str, option: str, value: float) -> None:
    config = RLConfig(method=method, options={option: value})
    with pytest.raises(ConfigError, match=rf"rl\.options\.{option}={value}"):
        estimators.build(config)


@pytest.mark.parametrize("method", GROUP_BASELINE)
def test_a_group_of_one_is_refused(method: str) -> None:
    config = make_config(method).rl
    config.group_size = 1
    with pytest.raises(ConfigError, match=r"rl\.group_size=1"):
        estimators.build(config)


@pytest.mark.parametrize("method", GROUP_BASELINE)
@pytest.mark.parametrize("reward", [0.0, 1.0, 1 / 3])
def test_equal_rewards_give_exactly_zero(method: str, reward: float) -> None:
    given = signals([reward] * 6, 3, equal_steps=True)
    assert estimator_of(method).advantages(given, None).tolist() == [[0.0, 0.0]] * 6


@pytest.mark.parametrize("method", GROUP_BASELINE)
def test_advantages_of_a_group_sum_to_zero(method: str) -> None:
    """Over outputs, at their first token; one step at the end makes process supervision outcome supervision."""
    advantages = estimator_of(method).advantages(signals([0.1, 0.9, 0.4, -2.0, 0.0, 5.0], 3), None)
    assert advantages[:, 0].view(2, 3).sum(-1).abs().max() < 1e-12
    assert advantages[:, 0].abs().max() > 0.5


def test_process_supervision_with_one_step_at_the_end_is_outcome_supervision() -> None:
    given = signals([1.0, 0.0, 0.25, 0.0, 1.0, 1.0], 3)
    process, outcome = (estimator_of(method).advantages(given, None) for method in ("grpo_process", "grpo"))
    assert torch.allclose(process, outcome, atol=1e-14)


def test_process_supervision_without_steps_says_what_is_missing() -> None:
    given = signals([1.0, 0.0], 2)
    blind = Signals(given.rewards, given.mask, given.logps, given.ref_logps, 2, given.correct, 2)
    with pytest.raises(ConfigError, match="process reward model"):
        estimator_of("grpo_process").advantages(blind, None)


@pytest.mark.parametrize("method", ["rft", "online_rft"])
def test_rejection_sampling_learns_from_right_answers_whatever_the_reward_is(method: str) -> None:
    given = signals([-3.0, 0.7, 0.2, -1.0], 2)
    advantages = estimator_of(method).advantages(given, None)
    assert advantages.tolist() == [[0, 0], [1, 1], [1, 0], [0, 0]]


def test_rloo_takes_its_kl_from_the_reward_of_the_sequence() -> None:
    """beta = 0.04, log ratios 1 + 1 and 1: rewards 1 - 0.08 and 0 - 0.04 in a group of two."""
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    given = Signals(torch.tensor([1.0, 0.0], dtype=torch.float64), mask, -mask, -2 * mask, 2, None, 2)
    advantages = estimator_of("rloo").advantages(given, None)
    assert advantages[0].tolist() == pytest.approx([0.96, 0.96])
    assert advantages[1].tolist() == pytest.approx([-0.96, 0.0])
    estimator = estimator_of("rloo")
    assert estimator.needs_reference and estimator.loss_kl_coefficient == 0.0
    assert estimator.weights(mask, 7).tolist() == [[0.5, 0.5], [0.5, 0.0]]


def test_dapo_shapes_long_outputs_as_with_rewards_of_plus_and_minus_one() -> None:
    """Half the penalty at half the distance of the rewards: the same advantages."""
    mask = (torch.arange(10)[None] < torch.tensor([[10], [9], [8], [3]])).double()
    given = Signals(torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64), mask, -mask, None, 4, None, 10)
    shaped = estimator_of("dapo").shape(given)
    assert shaped.tolist() == pytest.approx([0.5, 0.75, 0.0, 0.0])
    published = torch.tensor([1.0 - 1.0, 1.0 - 0.5, -1.0, -1.0], dtype=torch.float64)
    ours, theirs = (objectives.outcome_advantage(rewards, 4, 0, 0.0) for rewards in (shaped, published))
    assert torch.allclose(ours, theirs)


def test_dapo_keeps_groups_that_are_neither_all_right_nor_all_wrong() -> None:
    right = torch.tensor([[True, True], [True, False], [False, False]])
    shaped = torch.tensor([[1.0, 0.5], [1.0, 0.0], [0.0, 0.0]])
    dapo = estimator_of("dapo")
    assert dapo.attempts == 10
    assert dapo.keep(shaped, right).tolist() == [False, True, False]
    # not told which are right, it goes by the rewards
    assert dapo.keep(shaped).tolist() == [True, True, False]
    config = make_config("dapo").rl
    config.options = {"max_draws": 1}
    assert estimators.build(config).attempts == 1
    assert estimators.build(config).keep(shaped, right).all()


def test_dapo_explores_until_the_batch_is_full_of_groups_that_teach(tmp_path: Path, model: Path) -> None:
    config = make_config("dapo")
    trainer = make_trainer(model, tmp_path, config)
    drawn = []
    for number in range(12):
        found = trainer.explorer(trainer.model, number)
        right = found.correct.view(-1, config.rl.group_size)
        drawn.append(found.metrics["groups_drawn"])
        if found.metrics["groups_kept"] == 0:
            # it gives up, and takes the last attempt's groups as they are
            assert drawn[-1] == 10 * config.rl.questions_per_step and len(right) == config.rl.questions_per_step
            continue
        assert len(right) == found.metrics["groups_kept"] <= config.rl.questions_per_step
        assert bool((right.any(-1) & ~right.all(-1)).all())
        assert found.metrics["completions"] == found.metrics["groups_drawn"] * config.rl.group_size
    assert max(drawn) > config.rl.questions_per_step and sum(count < max(drawn) for count in drawn) > 6


@pytest.mark.parametrize("method", ["grpo", "dapo"])
def test_every_question_is_met_before_one_comes_again(
    tmp_path: Path, model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not a method may draw more: the first attempts are those of every other method, noise included."""
    trainer = make_trainer(model, tmp_path, make_config(method))
    asked: list[list[str]] = []
    reward = trainer.task.reward

    def watched(completions: Completions) -> Rewards:
        asked.append([problem.question for problem in completions.problems][:: trainer.rl.group_size])
        return replace(reward(completions), correct=[True, False] * (len(completions.texts) // 2))

    monkeypatch.setattr(trainer.explorer, "task", replace(trainer.task, reward=watched))
    texts = [trainer.explorer(trainer.model, number).batch.completion_ids.tolist() for number in range(6)]
    assert len({*asked[0], *asked[1], *asked[2]}) == len({*asked[3], *asked[4], *asked[5]}) == 6
    assert len(asked) == 6
    grpo = make_trainer(model, tmp_path, make_config("grpo"))
    assert texts == [grpo.explorer(grpo.model, number).batch.completion_ids.tolist() for number in range(6)]


def test_further_attempts_go_through_the_questions_in_an_order_of_their_own(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("dapo")
    config.rl.options = {"max_draws": 4}
    trainer = make_trainer(model, tmp_path, config)
    asked: list[tuple[int | str, int]] = []

    def watched(count: int, per_step: int, seed: int | str, number: int) -> list[int]:
        asked.append((seed, number))
        return questions_of_step(count, per_step, seed, number)

    def all_wrong(completions: Completions) -> Rewards:
        return replace(steps_reward(completions), correct=[False] * len(completions.texts))

    monkeypatch.setattr(exploration, "questions_of_step", watched)
    monkeypatch.setattr(trainer.explorer, "task", replace(trainer.task, reward=all_wrong))
    for number in range(3):
        trainer.explorer(trainer.model, number)
    seed = trainer.explorer.seed
    assert [place for place in asked if place[0] == seed] == [(seed, 0), (seed, 1), (seed, 2)]
    assert [place for place in asked if place[0] != seed] == [(f"{seed}/further", number) for number in range(9)]


def test_only_a_method_that_may_draw_more_has_another_key() -> None:
    def says(method: str, **options: int) -> bool:
        config = make_config(method)
        config.rl.options = {**config.rl.options, **options}
        return "further_attempts" in STAGE.identity(config)["rl"]

    assert says("dapo") and not says("dapo", max_draws=1)
    assert not any(says(method) for method in estimators.names() if method not in ("dapo", "grpo_process"))


def test_the_manual_has_a_row_for_every_method() -> None:
    text = (ROOT / "docs" / "rl.md").read_text()
    assert [name for name in estimators.names() if f"\n| `{name}` | " not in text] == []


def test_equal_settings_of_dapo_are_one_run() -> None:
    one, other = make_config("dapo"), make_config("dapo")
    one.rl.options, other.rl.options = {"overlong_share": 0.0}, {"overlong_penalty": 0.0}
    assert STAGE.identity(one) == STAGE.identity(other) != STAGE.identity(make_config("dapo"))


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", TRAINED_HERE)
def test_a_run_of_every_method_leaves_model_metrics_and_record(
    tmp_path: Path, model: Path, method: str, varied_reward: None
) -> None:
    config = make_config(method, steps=2)
    ctx = make_context(tmp_path, config, model)
    STAGE.run(ctx)
    metrics = lines(ctx.out)
    assert [line["step"] for line in metrics] == [1, 2]
    assert all(line["grad_norm"] > 0 for line in metrics)
    estimator = estimator_of(method)
    assert (metrics[0]["kl"] is not None) == estimator.needs_reference
    assert ("groups_drawn" in metrics[0]) == (estimator.attempts > 1)
    assert (ctx.out / "model" / "model.safetensors").read_bytes() != (model / "model.safetensors").read_bytes()
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["steps"] == 2 and record["flops"]["total"] == metrics[-1]["flops"]


@pytest.mark.parametrize("method", TRAINED_HERE)
def test_the_reference_is_loaded_like_the_policy_and_not_by_trl(
    tmp_path: Path, model: Path, method: str, varied_reward: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL would spread it over all GPUs that one process sees."""
    loaded: list[bool] = []

    def load(*arguments: Any, **options: Any) -> Any:
        made = load_model(*arguments, **options)
        loaded.append(made.dtype == torch.float32)
        return made

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("TRL loads a model")

    monkeypatch.setattr(run, "load_model", load)
    monkeypatch.setattr(grpo_trainer, "create_model_from_path", refuse)
    STAGE.run(make_context(tmp_path, make_config(method, steps=1), model))
    estimator = estimator_of(method)
    assert loaded == [True] * (1 + estimator.needs_critic + (estimator.needs_reference or estimator.offline))


def test_rft_keeps_exploring_with_the_starting_model(tmp_path: Path, model: Path, varied_reward: None) -> None:
    """Its completions do not depend on what was learned: another learning rate, the same rewards at every step."""
    seen = []
    for method in ("rft", "online_rft"):
        for rate in (1e-2, 3e-2):
            config = make_config(method, steps=3)
            config.rl.learning_rate = rate
            ctx = make_context(tmp_path / method / str(rate), config, model)
            STAGE.run(ctx)
            seen.append([line["reward_mean"] for line in lines(ctx.out)])
    assert seen[0] == seen[1]
    assert seen[2][0] == seen[3][0] == seen[0][0] and seen[2] != seen[3]


def guide() -> tuple[str, str, str, str]:
    """The worked example of the guide: module's name and text, level's name and text."""
    text = (ROOT / "docs" / "extending" / "method.md").read_text()
    module = re.search(r'```python title="dsm_repro/rl/estimators/(\w+)\.py"\n(.*?)```', text, re.S)
    level = re.search(r'```yaml title="conf/rl/(\w+)\.yaml"\n(.*?)```', text, re.S)
    assert module is not None and level is not None
    return module[1], module[2], level[1], level[2]


def test_the_method_of_the_guide_runs(
    tmp_path: Path, model: Path, varied_reward: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, module, level_name, level = guide()
    assert name == level_name and name not in estimators.names()
    (tmp_path / f"{name}.py").write_text(module)
    monkeypatch.setattr(estimators, "__path__", [*estimators.__path__, str(tmp_path)])
    assert name in estimators.names()
    given = yaml.safe_load(level)
    assert level.startswith(f"# dsm run rl={name}\n") and given["method"] == name
    config = as_level(make_config(steps=2), given)
    ctx = make_context(tmp_path, config, model)
    STAGE.run(ctx)
    assert all(line["grad_norm"] > 0 for line in lines(ctx.out))
    estimator = estimators.build(config.rl)
    assert estimator.name == name
    # group mean, deviation of the batch: 2 and 0, 1 and 1 have the deviations 1, -1, 0, 0 from their means
    advantages = estimator.advantages(signals([2.0, 0.0, 1.0, 1.0], 2), None)
    assert advantages[:, 0].tolist() == pytest.approx([2**0.5, -(2**0.5), 0.0, 0.0], abs=1e-6)
    kind = importlib.import_module(f"dsm_repro.rl.estimators.{name}").Options
    assert given["options"] == {field.name: field.default for field in fields(kind)}


def as_level(config: Config, level: dict) -> Config:
    config.rl.method, config.rl.options = level["method"], level.get("options", {})
    config.rl.budget = BudgetConfig("steps", 2)
    return config
