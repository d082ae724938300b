"""What a run has spent, and whether that is its budget: metrics, cost and alarm after every update."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.exploration import Metrics

logger = logging.getLogger(__name__)

COST_FILE = "cost.json"


class Ledger:
    """Metrics, cost, alarm and budget after every update."""

    def __init__(self, ctx: StageContext) -> None:
        self.ctx = ctx
        self.rl = ctx.config.rl

    def __call__(self, step: int, metrics: Metrics, flops: dict[str, float]) -> bool:
        """Write one line of metrics; whether the budget is spent.

        Raises:
            ConfigError: loss or gradient are no longer finite.
        """
        ctx = self.ctx
        for purpose, amount in flops.items():
            ctx.cost.add_flops(purpose, amount)
        ctx.cost.add_tokens("generate", metrics["tokens_generated"] or 0)
        if not all(math.isfinite(metrics[name] or 0.0) for name in ("loss", "grad_norm")):
            raise ConfigError(
                f"rl.learning_rate={self.rl.learning_rate:g}: the loss is {metrics['loss']} and the gradient norm "
                f"{metrics['grad_norm']} at step {step}: training diverged. Lower the learning rate."
            )
        share = (metrics["ungradable"] or 0) / (metrics["completions"] or 1)
        if share > ctx.config.reward.max_ungradable:
            logger.warning(
                "rl step %d: %.1f%% of the answers could not be graded (reward.max_ungradable=%g). "
                "Their reward is reward.incorrect; look at the completions before believing the result.",
                step, 100 * share, ctx.config.reward.max_ungradable,
            )  # fmt: skip
        ctx.log(step, flops=ctx.cost.total_flops, **metrics)
        budget = self.rl.budget
        done = float(step) if budget.unit == "steps" else ctx.cost.total_flops
        ctx.progress(min(done, budget.amount), budget.amount, budget.unit)
        return done >= budget.amount

    def save(self, checkpoint: Path) -> None:
        """Put the cost so far beside a checkpoint."""
        state = {"flops": self.ctx.cost.flops, "tokens": self.ctx.cost.tokens}
        (checkpoint / COST_FILE).write_text(json.dumps(state))

    def load(self, checkpoint: Path) -> None:
        """Take up the cost where the killed run left it."""
        path = checkpoint / COST_FILE
        try:
            state = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}). Delete {self.ctx.scratch} to start over.") from error
        self.ctx.cost.flops, self.ctx.cost.tokens = state["flops"], state["tokens"]
