"""``rl=dpo``: pairs and their order, the stage end to end on a two-layer model, resume, bad settings."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from resume_stages import run_and_die
from rl_world import length_reward, make_config, make_context, make_model_folder

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.rl_schema import BudgetConfig
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl import accounting, estimators, rewards
from dsm_repro.rl.batch import Batch
from dsm_repro.rl.exploration import Exploration
from dsm_repro.rl.preference.pairs import Pair, PairStream, find_pairs, lengths
from dsm_repro.rl.stage import STAGE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.fixture
def varied_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random model answers nothing: some of its completions are called right."""
    monkeypatch.setattr(rewards.RuleReward, "__call__", lambda self, completions: length_reward(completions))


def exploration(correct: list[bool], group_size: int) -> Exploration:
    """Row i writes i+1 tokens 100+i; question q has the prompt [200+q] behind q pads; 7 FLOPs."""
    rows, questions = len(correct), len(correct) // group_size
    written = torch.tensor([[int(t <= i) for t in range(rows)] for i in range(rows)])
    ids = torch.tensor([[100 + i if t <= i else 0 for t in range(rows)] for i in range(rows)])
    prompts = torch.tensor([[0] * (questions - 1) + [200 + q] for q in range(questions)])
    owner = torch.arange(questions).repeat_interleave(group_size)
    batch = Batch(prompts, (prompts > 0).long(), owner, ids, written, written.clone())
    right = sum(correct)
    metrics = {
        "completions": rows, "tokens_generated": 10, "reward_mean": right / rows, "right": right,
        "wrong": rows - right, "no_answer": 0, "ungradable": 0, "zero_variance_groups": 0.5, "completion_length": 2.0,
    }  # fmt: skip
    return Exploration(
        batch=batch, logps=torch.zeros(rows, rows), rewards=torch.tensor(correct).float(),
        correct=torch.tensor(correct), steps=None, lengths=accounting.Lengths([1] * questions, [[1]] * questions),
        metrics=metrics, flops={"generate": 7.0},
    )  # fmt: skip


def test_a_pair_is_a_right_and_a_wrong_completion_of_one_question_and_no_completion_is_in_two() -> None:
    correct = (
        [True, False, False, True, True, False] + [True] * 6 + [False] * 6 + [False, True, False, False, False, False]
    )
    found = exploration(correct, 6)
    pairs = find_pairs(found, 6, limit=2, seed=0, number=3)
    # three right against three wrong but two at most; all right; none right; one right
    assert [pair.prompt_ids for pair in pairs] == [[200], [200], [203]]
    rows = [(pair.chosen_ids[0] - 100, pair.rejected_ids[0] - 100) for pair in pairs]
    assert all(correct[right] and not correct[wrong] and right // 6 == wrong // 6 for right, wrong in rows)
    assert len({row for pair in rows for row in pair}) == 6
    # ids are those that were sampled, to the last token
    assert all(
        len(p.chosen_ids) == right + 1 and set(p.chosen_ids) == {100 + right}
        for p, (right, _) in zip(pairs, rows, strict=True)
    )
    assert pairs == find_pairs(found, 6, limit=2, seed=0, number=3)
    assert any(pairs != find_pairs(found, 6, limit=2, seed=seed, number=3) for seed in range(1, 5))
    assert len(find_pairs(found, 6, limit=9, seed=0, number=3)) == 4


def test_what_a_tool_wrote_is_marked() -> None:
    found = exploration([False, True], 2)
    found.batch.written[1, 0] = 0
    (pair,) = find_pairs(found, 2, 1, 0, 0)
    assert pair == Pair([200], [101, 101], [100], [0, 1], None)


def stream(folder: Path, epochs: int | None, plan: list[list[bool]], asked: list[int] | None = None) -> PairStream:
    """Explorations of two questions of two completions; ``plan[n]`` says which are right in exploration n."""
    folder.mkdir(exist_ok=True)

    def explore(number: int) -> Exploration:
        if asked is not None:
            asked.append(number)
        found = exploration(plan[number], 2)
        found.batch.prompt_ids[found.batch.prompt_mask.bool()] += 10 * number
        return found

    return PairStream(explore, 3, 2, 4, epochs, 0, folder)


MIXED, NONE, BOTH = [True, False, False, False], [False] * 4, [True, False, False, True]


def test_later_epochs_repeat_the_pairs_in_another_order_and_sample_nothing(tmp_path: Path) -> None:
    asked: list[int] = []
    pairs = stream(tmp_path, None, [BOTH, NONE, BOTH], asked)
    draws = [pairs.take(3) for _ in range(40)]
    assert asked == [0, 1, 2]
    # four pairs: an epoch is a step of three and one of the last
    assert [len(draw.pairs) for draw in draws] == [3, 1] * 20
    epochs = [[p.prompt_ids[0] for draw in draws[i : i + 2] for p in draw.pairs] for i in range(0, 40, 2)]
    assert epochs[0] == [200, 201, 220, 221]
    assert all(sorted(epoch) == epochs[0] for epoch in epochs) and len(set(map(tuple, epochs))) > 5
    first, second = draws[0].metrics, draws[1].metrics
    assert (first["questions"], first["questions_none_right"], first["questions_all_right"]) == (6, 2, 0)
    assert (first["completions"], first["right"], first["pairs_found"], first["pairs"]) == (12, 4, 4, 3)
    assert first["reward_mean"] == pytest.approx(4 / 12) and draws[0].flops == {"generate": 21.0}
    assert second["completions"] == second["questions"] == second["pairs_found"] == 0 and draws[1].flops == {}
    assert second["reward_mean"] is None


def test_after_the_last_epoch_the_questions_are_asked_again(tmp_path: Path) -> None:
    asked: list[int] = []
    pairs = stream(tmp_path, 2, [MIXED, NONE, NONE, NONE, MIXED, NONE], asked)
    seen = [[p.prompt_ids[0] for p in pairs.take(2).pairs] for _ in range(4)]
    assert seen == [[200], [200], [240], [240]]
    assert asked == [0, 1, 2, 3, 4, 5]


def test_questions_are_only_asked_as_pairs_are_wanted(tmp_path: Path) -> None:
    asked: list[int] = []
    pairs = stream(tmp_path, None, [BOTH, BOTH, BOTH], asked)
    pairs.take(2)
    assert asked == [0]
    pairs.take(2)
    assert asked == [0, 1]


@pytest.mark.parametrize("kept", range(1, 7))
def test_a_stream_goes_on_where_its_checkpoint_is(tmp_path: Path, kept: int) -> None:
    plan = [BOTH, MIXED, BOTH, BOTH, NONE, MIXED]
    whole = stream(tmp_path / "whole", 2, plan)
    expected = [whole.take(2) for _ in range(8)]
    killed = stream(tmp_path / "killed", 2, plan)
    for _ in range(kept):
        killed.take(2)
    killed.save(tmp_path)
    # work after the checkpoint, lost with the process
    killed.take(2)
    killed.take(2)
    resumed = stream(tmp_path / "killed", 2, plan)
    resumed.load(tmp_path)
    assert [resumed.take(2) for _ in range(8 - kept)] == expected[kept:]


def test_a_lost_file_of_pairs_is_an_error_that_names_it(tmp_path: Path) -> None:
    pairs = stream(tmp_path, None, [BOTH] * 3)
    pairs.take(2)
    pairs.save(tmp_path)
    (tmp_path / "pairs.jsonl").write_text("")
    with pytest.raises(DataError, match=r"pairs\.jsonl has 0 pairs, the checkpoint is of 2"):
        stream(tmp_path, None, [BOTH] * 3).load(tmp_path)


def test_no_pair_in_a_whole_pass_is_an_error(tmp_path: Path) -> None:
    every = [True, True, False, False]
    with pytest.raises(ConfigError, match=r"not one of 6 questions .* \(1 all right, 5 none right\)"):
        stream(tmp_path, None, [NONE, every, NONE]).take(2)


def test_both_passes_of_a_pair_are_paid_for() -> None:
    """TRL reads the prompt once with each completion."""
    assert lengths([Pair([1, 2, 3], [4, 5], [6])]) == accounting.Lengths([3, 3], [[2], [1]])


def lines(ctx: StageContext) -> list[dict]:
    return [json.loads(line) for line in (ctx.out / "metrics.jsonl").read_text().splitlines()]


def weights(ctx: StageContext) -> bytes:
    return (ctx.out / "model" / "model.safetensors").read_bytes()


def dpo_setup(steps: int = 3, **given: object) -> Config:
    config = make_config("dpo", steps)
    config.rl.options = {"pairs_per_step": 3, **given}
    return config


def test_a_run_leaves_model_metrics_and_record(tmp_path: Path, model: Path, varied_reward: None) -> None:
    ctx = make_context(tmp_path, dpo_setup(), model)
    STAGE.run(ctx)
    metrics = lines(ctx)
    assert [line["step"] for line in metrics] == [1, 2, 3]
    wanted = {
        "step", "flops", "completions", "tokens_generated", "reward_mean", "right", "wrong", "no_answer", "ungradable",
        "zero_variance_groups", "kl", "completion_length", "truncated", "loss", "grad_norm", "pairs", "pairs_found",
        "margin", "implicit_accuracy", "implicit_reward_right", "implicit_reward_wrong", "questions",
        "questions_all_right", "questions_none_right", "tokens_trained",
    }  # fmt: skip
    assert all(wanted <= set(line) for line in metrics)
    # before the first update policy and reference are one
    assert metrics[0]["margin"] == 0.0 and metrics[0]["loss"] == pytest.approx(math.log(2))
    assert metrics[1]["margin"] != 0.0
    assert weights(ctx) != (model / "model.safetensors").read_bytes()
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["method"] == "dpo" and record["steps"] == 3 and record["stopped_by"] == "steps"
    assert record["alarm"] is None and set(record["reward"]) == {"first", "last", "window"}
    assert record["pairs"]["trained"] == sum(line["pairs"] for line in metrics)
    assert set(record["flops"]) == {"generate", "reference", "train", "total"}
    assert record["flops"]["train"] == pytest.approx(3 * record["flops"]["reference"])
    assert record["flops"]["total"] == metrics[-1]["flops"] == ctx.cost.total_flops
    assert record["tokens_generated"] == sum(line["tokens_generated"] for line in metrics)
    assert record["tokens_trained"] == sum(line["tokens_trained"] for line in metrics) > 0
    assert (ctx.out / "model" / "tokenizer.json").exists()


# in the first epoch, and among repeated pairs
@pytest.mark.parametrize("killed_at", [2, 7])
def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, model: Path, varied_reward: None, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    config = dpo_setup(steps=9, pairs_per_step=1, pairs_per_question=1)
    config.execution.checkpoint_seconds = 0.0
    config.rl.snapshots = 2
    whole = make_context(tmp_path / "whole", copy.deepcopy(config), model)
    STAGE.run(whole)
    sampled = [line["step"] for line in lines(whole) if line["completions"]]
    assert 1 < max(sampled) < 6, sampled
    killed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    run_and_die(killed, killed_at, monkeypatch)
    pointer = json.loads((killed.scratch / "resume.json").read_text())
    assert pointer["checkpoint"] == f"checkpoint-{killed_at - 1}"
    resumed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    STAGE.run(resumed)
    assert lines(resumed) == lines(whole)
    assert weights(resumed) == weights(whole)
    for name in ("snapshots.json", "snapshots/1/model.safetensors", "snapshots/2/model.safetensors"):
        assert (resumed.out / name).read_bytes() == (whole.out / name).read_bytes()
    assert resumed.cost.flops == whole.cost.flops and resumed.cost.tokens == whole.cost.tokens
    assert (resumed.out / "record.json").read_bytes() == (whole.out / "record.json").read_bytes()


def test_a_flop_budget_stops_after_the_step_that_reaches_it(tmp_path: Path, model: Path, varied_reward: None) -> None:
    config = dpo_setup()
    config.rl.budget = BudgetConfig("flops", 6e7)
    ctx = make_context(tmp_path, config, model)
    STAGE.run(ctx)
    flops = [line["flops"] for line in lines(ctx)]
    assert flops[-1] >= 6e7 and all(spent < 6e7 for spent in flops[:-1]) and len(flops) > 1


def test_a_budget_of_generated_tokens_is_spent_over_several_passes(
    tmp_path: Path, model: Path, varied_reward: None
) -> None:
    config = dpo_setup(epochs=1)
    config.rl.budget = BudgetConfig("tokens", 300)
    ctx = make_context(tmp_path, config, model)
    STAGE.run(ctx)
    generated = [line["tokens_generated"] for line in lines(ctx)]
    # 24 completions of at most 6 tokens make a pass
    assert sum(generated[:-1]) < 300 <= sum(generated) and sum(line["questions"] for line in lines(ctx)) > 6


def test_nothing_is_trained_where_no_answer_is_right(tmp_path: Path, model: Path) -> None:
    ctx = make_context(tmp_path, dpo_setup(), model)
    with pytest.raises(ConfigError, match="not one of 6 questions"):
        STAGE.run(ctx)
    assert not (ctx.out / "model").exists() and not (ctx.out / "record.json").exists()
    assert not (ctx.out / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"options": {"beta": 0.0}}, r"rl\.options\.beta=0"),
        ({"options": {"epochs": 0}}, r"rl\.options\.epochs=0"),
        ({"options": {"pairs_per_step": -1}}, r"rl\.options\.pairs_per_step=-1"),
        ({"options": {"pairs": 3}}, r"rl\.options\.pairs"),
        ({"group_size": 1}, r"rl\.group_size=1"),
        ({"temperature": 0.0}, r"rl\.temperature=0"),
        ({"updates_per_exploration": 2}, r"rl\.options\.epochs"),
        ({"budget": BudgetConfig("tokens", 100)}, r"rl\.options\.epochs=null"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, object], says: str) -> None:
    config = dpo_setup()
    for name, value in change.items():
        setattr(config.rl, name, value)
    with pytest.raises(ConfigError, match=says):
        estimators.build(config.rl)


def test_the_method_is_identified_by_what_it_uses() -> None:
    base = dpo_setup()
    same = copy.deepcopy(base)
    same.rl.kl_coefficient, same.rl.clip_epsilon, same.rl.options["beta"] = 0.5, 0.7, 0.1
    assert STAGE.identity(same) == STAGE.identity(base)
    # null is resolved: half of 2 questions × 4 completions
    assert STAGE.identity(dpo_setup(pairs_per_step=None)) == STAGE.identity(dpo_setup(pairs_per_step=4))
    for name, value in (("beta", 0.2), ("pairs_per_question", 1), ("pairs_per_step", 5), ("epochs", 1)):
        assert STAGE.identity(dpo_setup(**{name: value})) != STAGE.identity(base)


def test_planning_loads_no_heavy_library() -> None:
    code = (
        "import sys; from dsm_repro.rl.stage import STAGE; from dsm_repro.config.schema import *;"
        "from dsm_repro.config.model_schema import *;"
        "c = Config(); c.rl.method = 'dpo'; c.rl.temperature = 0.7;"
        "c.scale.models['coder'] = ModelSpec(tiny=TinyModelConfig());"
        "e = STAGE.estimate(c); STAGE.identity(c); assert any('untempered' in n for n in e.notes), e;"
        "assert not {'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
