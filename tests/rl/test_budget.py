"""Budgets in every unit, what a step spends, times apart from metrics, and snapshots that survive a kill."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from resume_stages import run_and_die
from rl_world import length_reward, make_config, make_context, make_model_folder

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.model_schema import ModelSpec
from dsm_repro.config.rl_schema import BudgetConfig
from dsm_repro.config.validate import faults
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl import budget, rewards, snapshots
from dsm_repro.rl.stage import STAGE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.fixture(autouse=True)
def varied_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random model answers nothing: give it a reward that differs within groups."""
    monkeypatch.setattr(rewards.RuleReward, "__call__", lambda self, completions: length_reward(completions))


def lines(ctx: StageContext, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ctx.out / name).read_text().splitlines()]


def trained(root: Path, model: Path, method: str = "grpo", **rl: Any) -> StageContext:
    config = make_config(method)
    for key, value in rl.items():
        setattr(config.rl, key, value)
    ctx = make_context(root, config, model)
    STAGE.run(ctx)
    return ctx


def step(tokens: int = 100, trained: int = 80) -> dict[str, Any]:
    """The metrics of one update."""
    return {
        "loss": 0.0, "grad_norm": 1.0, "ungradable": 0, "completions": 4, "tokens_generated": tokens,
        "tokens_trained": trained,
    }  # fmt: skip


def ledger(root: Path, unit: str, amount: float, ticks: Iterator[float] | None = None) -> budget.Ledger:
    config = make_config()
    config.rl.budget = BudgetConfig(unit, amount)
    ctx = make_context(root, config, root)
    if ticks is not None:
        ctx.now = lambda: next(ticks)  # type: ignore[method-assign]
    return budget.Ledger(ctx)


@pytest.mark.parametrize(("unit", "amount"), [("flops", 2.9e3), ("tokens", 250), ("steps", 3)])
def test_each_unit_stops_after_the_step_that_reaches_it(tmp_path: Path, unit: str, amount: float) -> None:
    book = ledger(tmp_path, unit, amount)
    book.begin(None)
    flops = {"generate": 400.0, "train": 500.0, "critic": 100.0}
    assert [book(n, step(), flops) for n in (1, 2, 3)] == [False, False, True]
    assert book.ctx.cost.tokens == {"generate": 300, "train": 240}
    assert lines(book.ctx)[1] == {
        "step": 2, "flops": 2000.0, "flops_generate": 400.0, "flops_train": 500.0, "flops_critic": 100.0, **step(),
    }  # fmt: skip


def test_seconds_are_counted_from_the_beginning_of_the_work(tmp_path: Path) -> None:
    # construction at 0, begin at 10; two readings of the clock a step: the line of times, and the budget
    ticks = iter([0.0, 10.0, 11.0, 11.0, 12.5, 12.5])
    book = ledger(tmp_path, "seconds", 2.0, ticks)
    book.devices = 4
    book.begin(None)
    assert [book(n, step(), {}) for n in (1, 2)] == [False, True]
    assert lines(book.ctx, "times.jsonl") == [
        {"step": 1, "seconds": 1.0, "device_seconds": 4.0},
        {"step": 2, "seconds": 2.5, "device_seconds": 10.0},
    ]


def test_an_unknown_unit_is_refused() -> None:
    config = make_config()
    config.rl.budget = BudgetConfig("euros", 3)
    config.rl.snapshots = -1
    found = [fault for fault in faults(config) if fault.startswith("rl.")]
    assert any("rl.budget.unit=euros: unknown. Use one of flops, tokens, seconds, steps." in f for f in found)
    assert any("rl.snapshots=-1" in f for f in found)


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_a_run_accounts_for_every_step_by_purpose(tmp_path: Path, model: Path, method: str) -> None:
    ctx = trained(tmp_path, model, method)
    metrics, record = lines(ctx), json.loads((ctx.out / "record.json").read_text())
    purposes = {"generate", "train", "reference"} | ({"critic"} if method == "ppo" else set())
    for purpose in purposes:
        assert sum(line[f"flops_{purpose}"] for line in metrics) == pytest.approx(record["flops"][purpose])
    before = 0.0
    for line in metrics:
        assert line["flops"] - before == pytest.approx(sum(line[f"flops_{purpose}"] for purpose in purposes))
        before = line["flops"]
    assert record["tokens_generated"] == sum(line["tokens_generated"] for line in metrics)
    # every token of every completion has weight in Eq. 1 and Eq. 3
    assert record["tokens_trained"] == record["tokens_generated"]
    assert record["deterministic"] is True
    times = lines(ctx, "times.jsonl")
    assert [line["step"] for line in times] == [line["step"] for line in metrics]
    assert all(a["seconds"] < b["seconds"] for a, b in pairwise(times))


def test_a_token_budget_and_a_seconds_budget_stop_a_run(tmp_path: Path, model: Path) -> None:
    ctx = trained(tmp_path / "tokens", model, budget=BudgetConfig("tokens", 100))
    generated = [line["tokens_generated"] for line in lines(ctx)]
    assert sum(generated) >= 100 > sum(generated[:-1]) and len(generated) > 1
    ctx = trained(tmp_path / "seconds", model, budget=BudgetConfig("seconds", 0.3))
    times = [line["seconds"] for line in lines(ctx, "times.jsonl")]
    assert times[-1] >= 0.3 > max(times[:-1], default=0.0)
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["stopped_by"] == "seconds" and record["deterministic"] is False


def test_a_plan_says_what_a_budget_of_seconds_means() -> None:
    config = make_config()
    config.scale.models["coder"] = ModelSpec(path="x", parameters=1000, hidden_size=8, layers=2)
    config.rl.budget = BudgetConfig("seconds", 60)
    estimate = STAGE.estimate(config)
    assert (estimate.seconds, estimate.flops, estimate.tokens) == (60.0, 0.0, 0.0)
    assert any("not deterministic" in note for note in estimate.notes)
    config.rl.budget = BudgetConfig("tokens", 1200)
    # 2 questions × 4 completions at half of 6 tokens: 24 a step
    assert STAGE.estimate(config).tokens == 1200
    assert any("1.2e+03 tokens are generated (about 50 steps)" in note for note in STAGE.estimate(config).notes)
    config.rl.snapshots = 3
    disk = STAGE.estimate(config).disk_bytes
    config.rl.snapshots = 0
    assert disk == 4 * STAGE.estimate(config).disk_bytes


def test_snapshots_are_part_of_the_identity_and_none_are_as_before() -> None:
    config = make_config()
    without = STAGE.identity(config)
    assert "snapshots" not in without["rl"]
    config.rl.snapshots = 2
    assert STAGE.identity(config) != without


def test_snapshots_lie_at_equal_shares_of_the_budget_and_do_not_disturb(tmp_path: Path, model: Path) -> None:
    plain = trained(tmp_path / "plain", model, budget=BudgetConfig("steps", 5))
    ctx = trained(tmp_path / "traced", model, budget=BudgetConfig("steps", 5), snapshots=4)
    taken, metrics = snapshots.read(ctx.out), lines(ctx)
    assert [(s["index"], s["step"], s["share"]) for s in taken] == [(1, 1, 0.2), (2, 2, 0.4), (3, 3, 0.6), (4, 4, 0.8)]
    for snapshot, line in zip(taken, metrics, strict=False):
        assert snapshot["flops"] == line["flops"]
    assert taken[1]["tokens"] == taken[1]["tokens_trained"] == sum(m["tokens_generated"] for m in metrics[:2])
    weights = [(ctx.out / "snapshots" / str(i) / "model.safetensors").read_bytes() for i in (1, 2, 3, 4)]
    assert len({*weights, _weights(ctx)}) == 5
    assert _weights(ctx) == _weights(plain) and lines(plain) == metrics
    # the third snapshot is what a run of three steps ends with
    assert weights[2] == _weights(trained(tmp_path / "three", model, budget=BudgetConfig("steps", 3)))
    assert (ctx.out / "snapshots" / "1" / "tokenizer.json").exists()


def test_an_update_that_passes_two_shares_leaves_the_last_and_the_end_is_none(tmp_path: Path) -> None:
    config = make_config()
    config.rl.budget, config.rl.snapshots = BudgetConfig("flops", 100.0), 4
    ctx = make_context(tmp_path, config, tmp_path)
    take = snapshots.Snapshots(ctx, lambda folder: folder.mkdir())
    for number, done in enumerate((10.0, 45.0, 59.9, 60.0, 100.0), 1):
        take(number, done)
    assert [(s["index"], s["step"]) for s in take.taken] == [(2, 2), (3, 4)]
    assert snapshots.read(ctx.out) == take.taken


def test_a_copy_in_another_precision_leaves_the_policy_as_it_is(tmp_path: Path, model: Path) -> None:
    import torch

    from dsm_repro.training.models import load_model, load_tokenizer

    policy, tokenizer = load_model(model, "float32", "cpu"), load_tokenizer(model)
    policy.config.use_cache = False
    snapshots.save_copy(policy, tokenizer, tmp_path / "copy", "bfloat16")
    assert policy.dtype == torch.float32 and policy.config.use_cache is False
    saved = load_model(tmp_path / "copy", "bfloat16", "cpu")
    assert saved.config.use_cache is True
    assert torch.equal(saved.lm_head.weight, policy.lm_head.weight.bfloat16())


def test_a_killed_run_has_the_snapshots_and_times_of_its_steps(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at = 3
    config = make_config()
    config.rl.budget, config.rl.snapshots = BudgetConfig("steps", 6), 5
    config.execution.checkpoint_seconds = 0.0
    whole = make_context(tmp_path / "whole", copy.deepcopy(config), model)
    STAGE.run(whole)
    killed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    run_and_die(killed, killed_at, monkeypatch)
    # a checkpoint before the step at which it died, whose snapshot and line of times are there already
    before = lines(killed, "times.jsonl")
    assert len(before) == killed_at == len(snapshots.read(killed.out))
    # a snapshot that was moved, and not yet in the list
    (killed.out / "snapshots" / "5").mkdir()
    resumed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    STAGE.run(resumed)
    assert (resumed.out / "snapshots.json").read_bytes() == (whole.out / "snapshots.json").read_bytes()
    for index in range(1, 6):
        path = Path("snapshots", str(index), "model.safetensors")
        assert (resumed.out / path).read_bytes() == (whole.out / path).read_bytes()
    assert lines(resumed) == lines(whole)
    times = lines(resumed, "times.jsonl")
    assert times[: killed_at - 1] == before[: killed_at - 1]
    assert [line["step"] for line in times] == [1, 2, 3, 4, 5, 6]
    assert all(a["seconds"] < b["seconds"] for a, b in pairwise(times))


def test_a_checkpoint_whose_snapshots_are_gone_is_refused(tmp_path: Path, model: Path) -> None:
    config = make_config()
    config.rl.snapshots = 2
    ctx = make_context(tmp_path, config, model)
    checkpoint = ctx.scratch / "checkpoint-2"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text('{"global_step": 2}')
    book = budget.Ledger(ctx, snapshots.Snapshots(ctx, lambda folder: folder.mkdir()))
    book.save(checkpoint)
    state = json.loads((checkpoint / "cost.json").read_text())
    (checkpoint / "cost.json").write_text(json.dumps({**state, "snapshots": [1]}))
    with pytest.raises(DataError, match="start over"):
        book.begin(checkpoint)


def test_divergence_names_the_learning_rate(tmp_path: Path) -> None:
    book = ledger(tmp_path, "steps", 3)
    with pytest.raises(ConfigError, match=r"rl\.learning_rate"):
        book(1, {**step(), "loss": float("nan")}, {})


def _weights(ctx: StageContext) -> bytes:
    return (ctx.out / "model" / "model.safetensors").read_bytes()
