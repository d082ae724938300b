"""Trainers that take their data in a given order and their learning rate from a given function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import Trainer

from dsm_repro.training.sharding import allow_on_cpu


class OrderSampler(torch.utils.data.Sampler[int]):
    """The indices of a run in the order in which it takes them."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


class Ordered:
    """Mixed into a trainer: call :meth:`set_order` before ``train``."""

    order: Sequence[int]
    factor: Callable[[int], float]

    def set_order(self, order: Sequence[int], factor: Callable[[int], float]) -> None:
        """``order``: the rows of all steps; ``factor``: step (from 0) to the factor on the learning rate."""
        self.order = order
        self.factor = factor

    def create_accelerator_and_postprocess(self) -> None:
        allow_on_cpu(self.args)  # type: ignore[attr-defined]
        super().create_accelerator_and_postprocess()  # type: ignore[misc]

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
    """Rows of token ids; a batch is one slice of the array."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.rows[index])

    def __getitems__(self, indices: list[int]) -> np.ndarray:
        return np.asarray(self.rows[indices])


def stack_rows(rows: np.ndarray) -> dict[str, torch.Tensor]:
    """A batch of rows (batch × length) as inputs and labels; the model shifts the labels."""
    ids = torch.from_numpy(np.asarray(rows).astype(np.int64))
    return {"input_ids": ids, "labels": ids}
