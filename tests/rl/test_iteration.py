"""Algorithm 1: when rounds begin, what they change, and that a killed run goes on to the same bytes."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from resume_stages import run_and_die
from reward_world import EOS, PAD, make_reward_artifact, metrics_of, small_reward_model
from rl_world import length_reward, make_config, make_context, make_model_folder

from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import BudgetConfig
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl import accounting, estimators, iteration, rewards
from dsm_repro.rl.batch import Batch
from dsm_repro.rl.estimators.grpo import GRPO
from dsm_repro.rl.experience import Exploration
from dsm_repro.rl.reward_model import continued
from dsm_repro.rl.reward_model.continued import Continued, Reservoir
from dsm_repro.rl.reward_model.examples import Example, read
from dsm_repro.rl.stage import STAGE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    return make_reward_artifact(tmp_path_factory.mktemp("reward_model"), folder)


@pytest.fixture(autouse=True)
def varied_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random model answers nothing: give it a rule that differs within groups."""
    monkeypatch.setattr(rewards.RuleReward, "__call__", lambda self, completions: length_reward(completions))


def config_of(kind: str, steps: int = 6, rounds: int = 3) -> Config:
    config = small_reward_model(make_config("grpo_iterative", steps), kind)
    config.rl.options = {"rounds": rounds, "replay_share": 0.25, "reward_steps": 3}
    return config


def context(root: Path, config: Config, folder: Path, judge: Path) -> StageContext:
    ctx = make_context(root, copy.deepcopy(config), folder)
    ctx.parents["reward_model"] = judge
    return ctx


def weights(ctx: StageContext) -> bytes:
    return (ctx.out / "model" / "model.safetensors").read_bytes()


# when a round begins


def test_each_round_has_an_equal_share_of_the_steps_and_starts_at_its_own_reference(
    tmp_path: Path, folder: Path, judge: Path
) -> None:
    ctx = context(tmp_path, config_of("rule"), folder, judge)
    STAGE.run(ctx)
    lines = metrics_of(ctx.out)
    assert [line["round"] for line in lines] == [0, 0, 1, 1, 2, 2]
    # the divergence from the reference is 0 where a round begins, and nowhere else
    for line in lines:
        if line["step"] in (1, 3, 5):
            assert line["kl"] == pytest.approx(0.0, abs=1e-6)
        else:
            assert line["kl"] > 1e-4
    assert "reward_model_loss" not in lines[0] and "reward_model" not in ctx.cost.flops


def test_shares_of_a_flop_budget_begin_rounds_too(tmp_path: Path, folder: Path, judge: Path) -> None:
    config = config_of("rule", rounds=2)
    config.rl.budget = BudgetConfig("flops", 1.5e8)
    ctx = context(tmp_path, config, folder, judge)
    STAGE.run(ctx)
    lines = metrics_of(ctx.out)
    spent = [0.0, *(line["flops"] for line in lines[:-1])]
    assert [line["round"] for line in lines] == [int(flops >= 0.75e8) for flops in spent]
    assert {line["round"] for line in lines} == {0, 1}


def test_several_updates_of_one_exploration_belong_to_one_round(tmp_path: Path, folder: Path, judge: Path) -> None:
    config = config_of("rule", steps=8, rounds=2)
    config.rl.updates_per_exploration = 2
    ctx = context(tmp_path, config, folder, judge)
    STAGE.run(ctx)
    assert [line["round"] for line in metrics_of(ctx.out)] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_one_round_is_grpo_and_more_are_not(tmp_path: Path, folder: Path, judge: Path) -> None:
    assert type(estimators.build(config_of("rule", rounds=1).rl)) is GRPO
    assert STAGE.identity(config_of("rule", rounds=1)) == STAGE.identity(_plain())
    assert STAGE.identity(config_of("rule", rounds=2)) != STAGE.identity(config_of("rule", rounds=3))
    made = []
    for name, config in (("one", config_of("rule", rounds=1)), ("plain", _plain()), ("two", config_of("rule"))):
        ctx = context(tmp_path / name, config, folder, judge)
        STAGE.run(ctx)
        made.append(weights(ctx))
    assert made[0] == made[1] != made[2]


def _plain() -> Config:
    config = config_of("rule")
    config.rl.method, config.rl.options = "grpo", {}
    return config


# the reward model between rounds


@pytest.mark.parametrize("kind", ["outcome", "process"])
def test_the_reward_model_changes_between_rounds_and_only_there(
    tmp_path: Path, folder: Path, judge: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, float, bool]] = []
    after = iteration.IterativeRounds.after

    def watch(self: iteration.IterativeRounds, found: Exploration) -> None:
        after(self, found)
        assert self.continued is not None
        parameters = list(self.continued.model.parameters())
        total = float(sum(p.detach().double().abs().sum() for p in parameters))
        seen.append((self.round, total, any(p.requires_grad for p in parameters)))

    monkeypatch.setattr(iteration.IterativeRounds, "after", watch)
    ctx = context(tmp_path, config_of(kind), folder, judge)
    STAGE.run(ctx)
    by_round = [{total for number, total, _ in seen if number == r} for r in range(3)]
    assert [len(totals) for totals in by_round] == [1, 1, 1] and len(set.union(*by_round)) == 3
    assert not any(trained for _, _, trained in seen)
    lines = metrics_of(ctx.out)
    assert [line["reward_model_loss"] is not None for line in lines] == [False, False, True, False, True, False]
    # scoring at every step; where a round begins, training on 3 batches of 4 besides
    spent = [b["flops"] - a["flops"] for a, b in pairwise(lines)]
    assert spent[1] > 1.2 * spent[0] and spent[3] > 1.2 * spent[2]
    assert json.loads((ctx.out / "record.json").read_text())["flops"]["reward_model"] > 0
    assert all(0 <= line["agreed"] <= line["completions"] for line in lines)


def test_a_batch_has_its_share_of_historical_data(folder: Path, judge: Path) -> None:
    history = [example for example in read(judge / "labels.jsonl") if not example.held_out]
    new = [Example("new", [5], [6, EOS], [1], [1.0], True) for _ in range(3)]
    config = Config().reward_model
    config.batch_size = 20
    trained = Continued(torch.nn.Linear(2, 1), config, history, PAD, 4, autocast=False)  # type: ignore[arg-type]
    batches = trained.batches(new, 5, 0.1, "seed")
    assert [sum(example.question != "new" for example in batch) for batch in batches] == [2] * 5
    assert {len(batch) for batch in batches} == {20}
    assert trained.batches(new, 5, 0.1, "seed") == batches != trained.batches(new, 5, 0.1, "other")
    assert all(example.question == "new" for batch in trained.batches(new, 2, 0.0, "s") for example in batch)


def test_the_update_does_not_depend_on_micro_batches(folder: Path, judge: Path) -> None:
    from dsm_repro.rl.reward_model import model

    history = read(judge / "labels.jsonl")
    config = small_reward_model(Config(), "process").reward_model
    losses = []
    for rows in (1, 5):
        trained = Continued(model.load(judge / "model", "cpu"), config, history, PAD, rows, autocast=False)
        losses.append(trained.train([history, history, history])[0])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and losses[0][0] != losses[0][2]


def test_completions_are_labelled_by_the_rule_at_their_last_token() -> None:
    batch = Batch(
        prompt_ids=torch.tensor([[PAD, 5], [6, 7]]), prompt_mask=torch.tensor([[0, 1], [1, 1]]),
        owner=torch.tensor([0, 1]), completion_ids=torch.tensor([[8, EOS, PAD], [9, 9, EOS]]),
        completion_mask=torch.tensor([[1, 1, 0], [1, 1, 1]]), written=torch.tensor([[1, 1, 0], [1, 1, 1]]),
    )  # fmt: skip
    nothing: Any = torch.zeros(2)
    found = Exploration(
        batch, nothing, nothing, torch.tensor([True, False]), None, accounting.Lengths([1, 2], [[2], [3]]), {}, {}
    )
    first, second = continued.seen_examples(found)
    assert (first.prompt, first.completion, first.ends, first.labels) == ([5], [8, EOS], [1], [1.0])
    assert (second.prompt, second.completion, second.ends, second.labels) == ([6, 7], [9, 9, EOS], [2], [0.0])


def test_the_reservoir_is_a_uniform_sample_that_can_be_put_down_and_taken_up() -> None:
    def stream(number: int) -> Example:
        return Example(str(number), [1], [1], [0], [0.0], False)

    counts = [0] * 10
    for trial in range(2000):
        reservoir = Reservoir(3, f"{trial}")
        for number in range(10):
            reservoir.add(stream(number))
        for example in reservoir.kept:
            counts[int(example.question)] += 1
    # 2000 * 3/10 = 600 each; the standard deviation is 20.5
    assert all(abs(count - 600) < 5 * 20.5 for count in counts)
    whole, first, second = Reservoir(3, "s"), Reservoir(3, "s"), Reservoir(3, "other")
    for number in range(20):
        whole.add(stream(number))
        (first if number < 8 else second).add(stream(number))
        if number == 7:
            second.restore(first.state())
    assert second.kept == whole.kept


# resume


@pytest.mark.parametrize(("kind", "kill"), [("outcome", 3), ("process", 6)])
def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, folder: Path, judge: Path, kind: str, kill: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(kind, steps=7)
    config.execution.checkpoint_seconds = 0.0
    whole = context(tmp_path / "whole", config, folder, judge)
    STAGE.run(whole)
    killed = context(tmp_path / "killed", config, folder, judge)
    run_and_die(killed, kill, monkeypatch)
    assert json.loads((killed.scratch / "resume.json").read_text())["checkpoint"] == f"checkpoint-{kill - 1}"
    resumed = context(tmp_path / "killed", config, folder, judge)
    STAGE.run(resumed)
    assert metrics_of(resumed.out) == metrics_of(whole.out)
    assert weights(resumed) == weights(whole)
    assert resumed.cost.flops == whole.cost.flops
    assert (resumed.out / "record.json").read_bytes() == (whole.out / "record.json").read_bytes()


# settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("rounds", 0, r"rl\.options\.rounds=0"), ("replay_share", 1.0, r"rl\.options\.replay_share=1\.0"),
     ("reward_steps", -1, r"rl\.options\.reward_steps=-1")],
)  # fmt: skip
def test_options_that_cannot_work_are_named(name: str, value: float, message: str) -> None:
    config = compose(["rl=grpo_iterative"])
    config.rl.options[name] = value
    with pytest.raises(ConfigError, match=message):
        estimators.build(config.rl)


def test_a_clock_cannot_begin_rounds(tmp_path: Path, folder: Path, judge: Path) -> None:
    config = config_of("rule")
    config.rl.budget = BudgetConfig("seconds", 10)
    ctx = context(tmp_path, config, folder, judge)
    with pytest.raises(ConfigError, match=r"rl\.budget\.unit=seconds"):
        iteration.build_rounds(ctx, estimators.build(config.rl), None, None)  # type: ignore[arg-type]
