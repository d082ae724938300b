"""Runs that are killed: their config and files, and the stage ``rl`` with its parent for a worker's process.

The reward varies, and takes a moment if asked to.

``RESUME_SECONDS``: how long it takes to reward one exploration; never part of a key.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rl_methods import steps_reward
from rl_world import make_config, make_model_folder

from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Stage, StageContext
from dsm_repro.rl import budget
from dsm_repro.rl.rewards import Completions, Rewards
from dsm_repro.rl.stage import STAGE

#: files that tell times
CLOCKS = ("times.jsonl", "cost.json", "manifest.json")


def config_of(method: str, steps: int, updates: int) -> Config:
    """A checkpoint after every exploration; a copy of the policy on its way."""
    config = make_config(method, steps)
    config.rl.updates_per_exploration, config.rl.snapshots = updates, 1
    config.execution.checkpoint_seconds = 0.0
    return config


def files(out: Path) -> dict[str, bytes]:
    """Every file of an artifact but those that tell times."""
    found = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in CLOCKS)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def run_and_die(ctx: StageContext, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage until update ``at`` has been told, and no further."""
    ledger = budget.Ledger.__call__

    def die(self: budget.Ledger, step: int, *rest: object) -> bool:
        stop = ledger(self, step, *rest)
        if step == at:
            raise KeyboardInterrupt
        return stop

    with monkeypatch.context() as patched:
        patched.setattr(budget.Ledger, "__call__", die)
        with pytest.raises(KeyboardInterrupt):
            STAGE.run(ctx)


def _reward(completions: Completions) -> Rewards:
    time.sleep(float(os.environ.get("RESUME_SECONDS", "0")))
    return steps_reward(completions)


def _run(ctx: StageContext) -> None:
    from dsm_repro.rl import run

    real = run.build_reward
    run.build_reward = lambda *args, **kwargs: _reward
    try:
        STAGE.run(ctx)
    finally:
        run.build_reward = real


def _make_model(ctx: StageContext) -> None:
    make_model_folder(ctx.out / "model")


SFT = Stage(name="sft", version=1, parents=lambda config: (), identity=lambda config: {}, run=_make_model)
RL = replace(STAGE, run=_run)
