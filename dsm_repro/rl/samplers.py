"""Which sampler an arm's rollouts use."""

from __future__ import annotations

from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.exploration import Sampler
from dsm_repro.rl.rollouts import sample


def build_sampler(ctx: StageContext) -> Sampler:
    """Plain sampling: the model writes until it ends or the limit does."""
    return sample
