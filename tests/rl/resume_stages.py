"""The stage ``rl`` and its parent for a worker's process: a reward that varies, and takes a moment if asked to.

``RESUME_SECONDS``: how long it takes to reward one exploration; never part of a key.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from rl_methods import steps_reward
from rl_world import make_model_folder

from dsm_repro.pipeline.stage import Stage, StageContext
from dsm_repro.rl.rewards import Completions, Rewards
from dsm_repro.rl.stage import STAGE


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
