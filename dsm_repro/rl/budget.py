"""What a run has spent, and whether that is its budget: metrics, cost, clock and alarm after every update."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.exploration import Metrics
from dsm_repro.rl.snapshots import Snapshots

logger = logging.getLogger(__name__)

COST_FILE = "cost.json"
#: apart from the metrics, which do not depend on the clock
TIMES_FILE = "times.jsonl"


class Ledger:
    """Metrics, cost, clock, alarm, snapshots and budget after every update.

    The clock runs from :meth:`begin` on: loading models and starting the grader are not in it. A killed run's seconds
    up to its checkpoint are carried over; what it did after the checkpoint is done again, and counts once.

    Args:
        snapshots: takes the policy on its way, where that is wanted.
        devices: how many work at the same time, for device-seconds.
    """

    def __init__(self, ctx: StageContext, snapshots: Snapshots | None = None, devices: int = 1) -> None:
        self.ctx = ctx
        self.rl = ctx.config.rl
        self.snapshots, self.devices = snapshots, devices
        self.before, self.started = 0.0, ctx.now()

    @property
    def seconds(self) -> float:
        """Wall-clock of the run's own work so far."""
        return self.before + self.ctx.now() - self.started

    def spent(self, step: int) -> float:
        """What counts against ``rl.budget`` after update ``step``, in its unit.

        flops: of every purpose together (generation, policy, reference, critic, reward model); tokens: those that were
        generated; seconds: wall-clock; steps: gradient updates of the policy.
        """
        cost = self.ctx.cost
        match self.rl.budget.unit:
            case "flops":
                return cost.total_flops
            case "tokens":
                return cost.tokens.get("generate", 0.0)
            case "seconds":
                return self.seconds
            case "steps":
                return float(step)
        raise ConfigError(f"rl.budget.unit={self.rl.budget.unit}: unknown. Use flops, tokens, seconds or steps.")

    def __call__(self, step: int, metrics: Metrics, flops: dict[str, float]) -> bool:
        """Write one line of metrics and one of times; whether the budget is spent.

        ``metrics`` and ``flops`` (by purpose) are those of this update; what an exploration cost is in its first one.

        Raises:
            ConfigError: loss or gradient are no longer finite.
        """
        ctx = self.ctx
        for purpose, amount in flops.items():
            ctx.cost.add_flops(purpose, amount)
        ctx.cost.add_tokens("generate", metrics["tokens_generated"] or 0)
        # a method that does not count them says so by leaving them out
        if "tokens_trained" in metrics:
            ctx.cost.add_tokens("train", metrics["tokens_trained"] or 0)
        self._check(step, metrics)
        by_purpose = {f"flops_{purpose}": amount for purpose, amount in flops.items()}
        ctx.log(step, flops=ctx.cost.total_flops, **by_purpose, **metrics)
        self._log_time(step)
        budget, done = self.rl.budget, self.spent(step)
        ctx.progress(min(done, budget.amount), budget.amount, budget.unit)
        if self.snapshots is not None:
            self.snapshots(step, done)
        return done >= budget.amount

    def _check(self, step: int, metrics: Metrics) -> None:
        if not all(math.isfinite(metrics[name] or 0.0) for name in ("loss", "grad_norm")):
            raise ConfigError(
                f"rl.learning_rate={self.rl.learning_rate:g}: the loss is {metrics['loss']} and the gradient norm "
                f"{metrics['grad_norm']} at step {step}: training diverged. Lower the learning rate."
            )
        share = (metrics["ungradable"] or 0) / (metrics["completions"] or 1)
        limit = self.ctx.config.reward.max_ungradable
        if share > limit:
            logger.warning(
                "rl step %d: %.1f%% of the answers could not be graded (reward.max_ungradable=%g). "
                "Their reward is reward.incorrect; look at the completions before believing the result.",
                step, 100 * share, limit,
            )  # fmt: skip

    def _log_time(self, step: int) -> None:
        seconds = round(self.seconds, 4)
        line = {"step": step, "seconds": seconds, "device_seconds": round(seconds * self.devices, 4)}
        with (self.ctx.out / TIMES_FILE).open("a") as f:
            f.write(json.dumps(line) + "\n")

    def save(self, checkpoint: Path) -> None:
        """Put the cost so far beside a checkpoint."""
        taken = self.snapshots.taken if self.snapshots is not None else []
        state = {
            "flops": self.ctx.cost.flops,
            "tokens": self.ctx.cost.tokens,
            "seconds": self.seconds,
            "snapshots": [snapshot["index"] for snapshot in taken],
        }
        (checkpoint / COST_FILE).write_text(json.dumps(state))

    def begin(self, checkpoint: Path | None) -> None:
        """Start the clock; with the last checkpoint of a killed run, take up cost, times and snapshots there.

        Raises:
            DataError: what the killed run left is not whole.
        """
        if checkpoint is None:
            self._rewind(0)
        else:
            self.load(checkpoint)
        self.started = self.ctx.now()

    def load(self, checkpoint: Path) -> None:
        """Take up the cost where the killed run left it. Raises DataError where that cannot be read."""
        path, over = checkpoint / COST_FILE, f"Delete {self.ctx.scratch} to start over."
        try:
            state = json.loads(path.read_text())
            step = int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: cannot be read ({error}). {over}") from error
        self.ctx.cost.flops, self.ctx.cost.tokens = state["flops"], state["tokens"]
        self.before, self.started = float(state["seconds"]), self.ctx.now()
        self._rewind(step)
        taken = [snapshot["index"] for snapshot in self.snapshots.taken] if self.snapshots is not None else []
        if taken != state["snapshots"]:
            raise DataError(f"{path}: names the snapshots {state['snapshots']}, but {taken} are there. {over}")

    def _rewind(self, step: int) -> None:
        """Drop what was written after ``step``."""
        if self.snapshots is not None:
            self.snapshots.rewind(step)
        path = self.ctx.out / TIMES_FILE
        if path.exists():
            kept = [line for line in read_times(self.ctx.out) if line["step"] <= step]
            # moved into place, so that a kill in the middle does not lose the lines before the checkpoint
            temporary = self.ctx.scratch / "times.rewound"
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
            temporary.replace(path)


def read_times(artifact: Path) -> list[dict[str, Any]]:
    """The complete lines of ``times.jsonl``: step, seconds and device-seconds up to its end."""
    lines = (artifact / TIMES_FILE).read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]
