"""Trainers that take their data in a given order and their learning rate from a given function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from transformers import Trainer

from dsm_repro.training.batching import filled
from dsm_repro.training.moments import CutMoments
from dsm_repro.training.sharding import allow_on_cpu, compute_as_without, drop_casts

#: the label of a token that is no target
IGNORED = -100


class OrderSampler(torch.utils.data.Sampler[int]):
    """The indices of a run in the order in which it takes them."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


class Ordered(CutMoments):
    """Mixed into a trainer: call :meth:`set_order` before ``train``."""

    order: Sequence[int]
    factor: Callable[[int], float]

    def set_order(self, order: Sequence[int], batch_size: int, fill: int, factor: Callable[[int], float]) -> None:
        """Args:
        order: the rows of all steps, ``batch_size`` for each.
        fill: a row without targets, for where forward passes and processes do not share a batch equally.
        factor: step (from 0) to the factor on the learning rate.
        """
        args: Any = self.args  # type: ignore[attr-defined]
        size = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        self.order = filled(order, batch_size, size, fill)
        self.factor = factor

    def create_accelerator_and_postprocess(self) -> None:
        args: Any = self.args  # type: ignore[attr-defined]
        allow_on_cpu(args)
        compute_as_without(args)
        super().create_accelerator_and_postprocess()  # type: ignore[misc]
        drop_casts(self.accelerator)  # type: ignore[attr-defined]

    def compute_loss_context_manager(self) -> AbstractContextManager[Any]:
        """accelerate puts autocast on a model's forward pass, but not on one that FSDP2 shards."""
        accelerator: Accelerator = self.accelerator  # type: ignore[attr-defined]
        if accelerator.is_fsdp2:
            return accelerator.autocast()
        context: AbstractContextManager[Any] = super().compute_loss_context_manager()  # type: ignore[misc]
        return context

    def _get_train_sampler(self, train_dataset: Any = None) -> OrderSampler:
        return OrderSampler(self.order)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, self.factor)  # type: ignore[has-type,attr-defined]
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def floating_point_ops(self, inputs: Any) -> int:
        """Counted by ``StepCosts``: the library's count leaves attention out and walks all modules."""
        return 0

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """A checkpoint is for resuming, not for publishing."""


class LanguageModelTrainer(Ordered, Trainer):
    """Next-token loss of the model itself, summed and divided by the target tokens of the whole batch."""


class RowDataset(torch.utils.data.Dataset[Any]):
    """Rows of token ids, and after the last one more, of which nothing is learned; a batch is one slice of the array.

    Items are ids (length) with whether they are targets, batches of them (batch × length) with one answer for each row.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    @property
    def fill(self) -> int:
        """The row of which nothing is learned."""
        return len(self.rows)

    def __len__(self) -> int:
        return len(self.rows) + 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        ids, targets = self.__getitems__([index])
        return ids[0], targets[0]

    def __getitems__(self, indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
        targets = np.asarray(indices) < self.fill
        return np.asarray(self.rows[np.where(targets, indices, 0)]), targets


def stack_rows(batch: tuple[np.ndarray, np.ndarray]) -> dict[str, torch.Tensor]:
    """A batch of rows (batch × length) as inputs and labels; the model shifts the labels."""
    rows, targets = batch
    ids = torch.from_numpy(rows.astype(np.int64))
    return {"input_ids": ids, "labels": ids.where(torch.from_numpy(targets)[:, None], IGNORED)}
