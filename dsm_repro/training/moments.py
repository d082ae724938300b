"""The optimiser's moments cut up among processes that hold whole weights: ZeRO's first stage (arXiv:1910.02054 §5.1).

Each process updates its share of the weights and sends it to the others, so a step is that of one process. For what
keeps whole weights because it samples from them: reinforcement learning. A checkpoint holds the whole optimiser.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.distributed.optim import ZeroRedundancyOptimizer

from dsm_repro.config.execution_schema import ExecutionConfig


class CutOptimizer(ZeroRedundancyOptimizer):
    """torch's, which can also be asked for its state before it has any: accelerate does so in every process."""

    def state_dict(self) -> dict[str, Any]:
        """The whole state as of the last :func:`gather`, in the first process. Raises RuntimeError in the others."""
        return super().state_dict() if self.optim.state else torch.optim.Optimizer.state_dict(self)


def cut_up(optimizer: torch.optim.Optimizer) -> CutOptimizer:
    """An optimiser of the same kind, groups and settings, of which this process holds a share; it has no state yet."""
    kind = type(optimizer)
    # some defaults are no arguments: AdamW is an Adam that was told what it is
    known = inspect.signature(kind.__init__).parameters
    defaults = {name: value for name, value in optimizer.defaults.items() if name in known}
    return CutOptimizer([dict(group) for group in optimizer.param_groups], optimizer_class=kind, **defaults)


def gather(optimizer: Any) -> None:
    """Before a checkpoint, in all processes: the first gets the whole state. Nothing for an optimiser in one piece."""
    plain = getattr(optimizer, "optimizer", optimizer)  # out of accelerate's wrapper
    if isinstance(plain, CutOptimizer):
        plain.consolidate_state_dict(to=0)


def are_cut(execution: ExecutionConfig) -> bool:
    return execution.sharding == "zero1" and execution.processes_in_all > 1


class CutMoments:
    """Mixed into a trainer: with ``cut_moments`` its optimiser is cut up."""

    cut_moments = False

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        new = self.optimizer is None  # type: ignore[has-type]
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)  # type: ignore[misc]
        if new and self.cut_moments:
            self.optimizer = optimizer = cut_up(optimizer)
        return optimizer

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        gather(self.optimizer)
        super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
