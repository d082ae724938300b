"""Algorithm 1, the outer iterations of §4.1.4: what changes when a round begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.budget import Ledger
from dsm_repro.rl.estimators import Estimator
from dsm_repro.rl.exploration import Exploration
from dsm_repro.rl.rewards import RewardFunction


class Rounds(Protocol):
    """Called by the trainer around every exploration stage."""

    def before(self, policy: Any, reference: Any) -> dict[str, float]:
        """May begin a round: reset ``reference`` to ``policy``, train the reward model on. FLOPs spent, by purpose."""
        ...

    def after(self, found: Exploration) -> None:
        """Sees what was explored."""
        ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def build_rounds(ctx: StageContext, estimator: Estimator, reward: RewardFunction, ledger: Ledger) -> Rounds | None:
    """None for a method of one round."""
    return None
