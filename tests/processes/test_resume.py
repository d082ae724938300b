"""Killed anywhere, run again: the same weights, metrics and record, bit for bit."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from resume_stages import config_of, files, run_and_die
from rl_methods import TRAINED_HERE, steps_reward
from rl_world import make_context, make_model_folder

from dsm_repro.config.rl_schema import BudgetConfig
from dsm_repro.rl import run
from dsm_repro.rl.stage import STAGE

UPDATES = 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


#: before the first checkpoint, in the middle of an exploration, at the last update of one
MOMENTS = (1, UPDATES + 2, 2 * UPDATES)


@pytest.mark.parametrize("method", TRAINED_HERE)
def test_killed_at_any_step_a_run_comes_to_the_same_bytes(
    tmp_path: Path, model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run killed again and again: GRPO and PPO at every step, also between the updates of one exploration.

    The checkpoint stands before the exploration.
    """
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    config = config_of(method, 2 * UPDATES + 1, UPDATES)
    whole = make_context(tmp_path / "whole", copy.deepcopy(config), model)
    STAGE.run(whole)
    assert [json.loads(line)["step"] for line in (whole.out / "metrics.jsonl").read_text().splitlines()] == [
        *range(1, 2 * UPDATES + 2)
    ]
    pointer = tmp_path / "killed" / "scratch" / "resume.json"
    for at in range(1, 2 * UPDATES + 2) if method in ("grpo", "ppo") else MOMENTS:
        # the worker empties this folder where there is no checkpoint
        killed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
        run_and_die(killed, at, monkeypatch)
        stands = (at - 1) // UPDATES * UPDATES
        assert pointer.exists() == (stands > 0)
        assert not stands or json.loads(pointer.read_text())["checkpoint"] == f"checkpoint-{stands}"
    resumed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    STAGE.run(resumed)
    assert files(resumed.out) == files(whole.out)
    assert resumed.cost.flops == whole.cost.flops and resumed.cost.tokens == whole.cost.tokens


def test_a_run_that_was_killed_after_its_last_step_takes_no_further_one(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows before a step that the budget is spent after it: no checkpoint may stand there."""
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    config = config_of("grpo", 0, 1)
    config.rl.budget = BudgetConfig("tokens", 150)
    ctx = make_context(tmp_path, copy.deepcopy(config), model)
    STAGE.run(ctx)
    once = files(ctx.out)
    steps = len(once["metrics.jsonl"].splitlines())
    assert steps > 2
    assert json.loads((tmp_path / "scratch" / "resume.json").read_text())["checkpoint"] == f"checkpoint-{steps - 1}"
    STAGE.run(make_context(tmp_path, copy.deepcopy(config), model))
    assert files(ctx.out) == once
