"""The stage end to end on a two-layer model: records, budget, resume, identity, rewards."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rl_world import length_reward, make_config, make_context, make_model_folder

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import BudgetConfig, RewardConfig
from dsm_repro.config.schema import Config
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.grading import Verdict
from dsm_repro.reasoning.sandbox import controller
from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.rl import accounting, estimators, rewards
from dsm_repro.rl.questions import questions_of_step
from dsm_repro.rl.stage import STAGE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.fixture
def varied_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random model answers nothing: give it a reward that differs within groups."""
    monkeypatch.setattr(rewards.RuleReward, "__call__", lambda self, completions: length_reward(completions))


def lines(ctx: StageContext) -> list[dict]:
    return [json.loads(line) for line in (ctx.out / "metrics.jsonl").read_text().splitlines()]


def weights(ctx: StageContext) -> bytes:
    return (ctx.out / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_a_run_leaves_model_metrics_and_record(tmp_path: Path, model: Path, method: str, varied_reward: None) -> None:
    ctx = make_context(tmp_path, make_config(method), model)
    STAGE.run(ctx)
    metrics = lines(ctx)
    assert [line["step"] for line in metrics] == [1, 2, 3]
    wanted = {
        "step", "flops", "completions", "tokens_generated", "reward_mean", "right", "wrong", "no_answer", "ungradable",
        "zero_variance_groups", "kl", "completion_length", "truncated", "loss", "grad_norm", "tokens_trained",
        "flops_generate", "flops_reference", "flops_train",
    }  # fmt: skip
    assert wanted | ({"value_loss", "explained_variance", "flops_critic"} if method == "ppo" else set()) == set(
        metrics[0]
    )
    assert metrics[0]["kl"] == pytest.approx(0.0, abs=1e-6) and metrics[2]["kl"] > 1e-4
    assert weights(ctx) != (model / "model.safetensors").read_bytes()
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["method"] == method and record["steps"] == 3 and record["stopped_by"] == "steps"
    assert record["flops"]["total"] == metrics[-1]["flops"] == ctx.cost.total_flops
    assert ("critic" in record["flops"]) == (method == "ppo")
    assert set(record["reward"]) >= {"first", "last"} and record["alarm"] is None
    assert (ctx.out / "model" / "tokenizer.json").exists()


@pytest.mark.skipif(all(controller.probe(name) for name in ISOLATED), reason="no sandbox here")
@pytest.mark.parametrize("mode", ["pot", "tool"])
def test_where_programs_are_run_the_record_names_the_back_end(
    tmp_path: Path, model: Path, varied_reward: None, mode: str
) -> None:
    config = make_config()
    config.rl.mode = mode
    config.rl.budget = BudgetConfig("steps", 1)
    ctx = make_context(tmp_path, config, model)
    STAGE.run(ctx)
    assert json.loads((ctx.out / "record.json").read_text())["sandbox"] in ISOLATED


def test_a_flop_budget_stops_after_the_step_that_reaches_it(tmp_path: Path, model: Path, varied_reward: None) -> None:
    config = make_config()
    config.rl.budget = BudgetConfig("flops", 1e8)
    ctx = make_context(tmp_path, config, model)
    STAGE.run(ctx)
    flops = [line["flops"] for line in lines(ctx)]
    assert flops[-1] >= 1e8 and all(spent < 1e8 for spent in flops[:-1]) and len(flops) > 1
    assert json.loads((ctx.out / "record.json").read_text())["stopped_by"] == "flops"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    tmp_path: Path, model: Path, varied_reward: None
) -> None:
    results = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        config = make_config(steps=2)
        config.seeds.rl = seed
        ctx = make_context(tmp_path / name, config, model)
        STAGE.run(ctx)
        results.append(weights(ctx))
    assert results[0] == results[1] != results[2]


class StubGrader:
    def grade_many(self, pairs: list[tuple[str | None, str]]) -> list[Verdict]:
        def status(answer: str | None, gold: str) -> str:
            if answer is None:
                return "no_answer"
            return "ungradable" if answer == "666" else "correct" if answer == gold else "incorrect"

        return [Verdict(status(*pair), "") for pair in pairs]


def test_the_rule_reward_counts_every_kind_of_verdict() -> None:
    reward = rewards.RuleReward(RewardConfig(correct=1.0, incorrect=-0.5), StubGrader())  # type: ignore[arg-type]
    four = Problem("", "", 1, "", "4", "", "", "")
    texts = ["\\boxed{4}", "\\boxed{5}", "no idea", "\\boxed{666}", "\\boxed{4}"]
    given = reward(rewards.Completions(texts, [four] * 5, None))  # type: ignore[arg-type]
    assert given.values == [1.0, -0.5, -0.5, -0.5, 1.0]
    assert given.counts == {"right": 2, "wrong": 1, "no_answer": 1, "ungradable": 1}
    assert given.ungradable_share == 0.2
    assert rewards.zero_variance_share([1, 1, 0, 1, 0, 0, 0, 0], 2) == 0.75


def test_too_many_ungradable_answers_raise_the_alarm(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counts = {"right": 0, "wrong": 5, "no_answer": 0, "ungradable": 3}
    monkeypatch.setattr(
        rewards.RuleReward,
        "__call__",
        lambda self, c: rewards.Rewards([0.0] * len(c.texts), dict(counts), [False] * len(c.texts)),
    )
    ctx = make_context(tmp_path, make_config(steps=2), model)
    STAGE.run(ctx)
    alarm = json.loads((ctx.out / "record.json").read_text())["alarm"]
    assert alarm["steps"] == 2 and alarm["worst_share"] == 3 / 8
    assert "37.5% of the answers could not be graded" in caplog.text


def test_questions_come_without_replacement_within_an_epoch() -> None:
    epoch = [i for step in range(3) for i in questions_of_step(10, 3, 0, step)]
    assert len(set(epoch)) == 9
    following = [i for step in range(3, 6) for i in questions_of_step(10, 3, 0, step)]
    assert len(set(following)) == 9 and following != epoch
    assert questions_of_step(10, 3, 0, 4) == following[3:6]


def test_flops_of_a_step_by_hand() -> None:
    """One layer of width 2: block parameters 4·2² + 3·2·3 = 34, head 2·5 = 10; prompt 3, completions 2 and 1."""
    shape = accounting.ModelShape(hidden_size=2, layers=1, intermediate_size=3, vocab_size=5)
    lengths = accounting.Lengths([3], [[2, 1]])
    # read: 3 + 1 + 0 tokens; pairs: 3² + 1·(3 + 1); the head on the 3 positions that predict a completion token
    forward = 2 * 4 * 34 + 2 * 3 * 10 + 4 * 2 * 13
    assert accounting.forward(shape, lengths) == forward
    assert accounting.train(shape, lengths) == 3 * forward
    # both completions are begun from one position's logits
    assert accounting.generate(shape, lengths) == forward - 2 * 1 * 10
    assert accounting.critic_train(shape, lengths) == 3 * (forward - 2 * 3 * 8)


def test_identity_holds_what_matters_and_nothing_else() -> None:
    grpo, ppo = make_config("grpo"), make_config("ppo")
    assert "gae_lambda" not in STAGE.identity(grpo)["rl"]["estimator"]
    assert "std_ddof" not in STAGE.identity(ppo)["rl"]["estimator"]
    other = copy.deepcopy(grpo)
    other.execution.micro_batch, other.problems.terse_share = 1, 0.0
    other.rl.clip_epsilon = 0.7  # inert at one update per exploration
    assert STAGE.identity(other) == STAGE.identity(grpo)
    other.rl.updates_per_exploration = 2
    again = copy.deepcopy(other)
    again.rl.clip_epsilon = 0.2
    assert STAGE.identity(other) != STAGE.identity(again)
    for change in ("group_size", "kl_coefficient", "std_guard", "temperature"):
        changed = copy.deepcopy(grpo)
        setattr(changed.rl, change, 7)
        assert STAGE.identity(changed) != STAGE.identity(grpo)


def test_parents_follow_the_arm() -> None:
    config = Config()
    assert STAGE.parents(config) == ("sft",)
    config.sft.format, config.pretrain.enabled = "none", False
    assert STAGE.parents(config) == ("base",)


def test_a_group_of_one_is_refused_for_grpo_and_fine_for_ppo() -> None:
    config = make_config()
    config.rl.group_size = 1
    with pytest.raises(ConfigError, match=r"rl\.group_size=1"):
        estimators.build(config.rl)
    config.rl.method = "ppo"
    assert estimators.build(config.rl).needs_critic
    config.rl.method = "reinforce"
    with pytest.raises(ConfigError, match="grpo"):
        estimators.build(config.rl)


def test_planning_loads_no_heavy_library() -> None:
    code = (
        "import sys; from dsm_repro.rl.stage import STAGE; from dsm_repro.config.schema import *;"
        "from dsm_repro.config.model_schema import *;"
        "c = Config(); c.scale.models['coder'] = ModelSpec(tiny=TinyModelConfig());"
        "e = STAGE.estimate(c); STAGE.identity(c); assert e.flops > 0 and 'inert' in e.notes[0], e;"
        "assert not {'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
