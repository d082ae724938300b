"""What several processes that train together have to agree on. For one alone, every function is trivial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed
from accelerate import PartialState
from transformers import TrainingArguments

from dsm_repro.config.execution_schema import ExecutionConfig
from dsm_repro.pipeline.group import OtherProcessError
from dsm_repro.training.models import resolve_device

T = TypeVar("T")


def any_of(args: TrainingArguments, said: Sequence[bool]) -> list[bool]:
    """For each of some yes-or-no questions, whether any process says yes."""
    if args.world_size == 1:
        return list(said)
    flags = torch.tensor(said, dtype=torch.int32, device=args.device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return [bool(flag) for flag in flags.tolist()]


def _state(execution: ExecutionConfig) -> PartialState:
    return PartialState(cpu=resolve_device(execution) == "cpu")


def own_share(execution: ExecutionConfig, items: Sequence[T]) -> Sequence[T]:
    """Those of some things that are this process' to do."""
    state = _state(execution)
    return items[state.process_index :: state.num_processes]


def wait_for_all(execution: ExecutionConfig) -> None:
    """Until every process is here."""
    _state(execution).wait_for_everyone()


def in_first(execution: ExecutionConfig, call: Callable[[], T]) -> T:
    """``call`` in the first process alone, and what it gives in all.

    Raises:
        OtherProcessError: in the others, if it raised in the first.
    """
    state = _state(execution)
    if state.num_processes == 1:
        return call()
    told: list[Any] = [None, None]
    failure: Exception | None = None
    if state.process_index == 0:
        try:
            told[0] = call()
        except Exception as error:
            failure, told[1] = error, f"{type(error).__name__}: {error}"
    torch.distributed.broadcast_object_list(told)
    if failure is not None:
        raise failure
    if told[1] is not None:
        raise OtherProcessError(f"process 0 of {state.num_processes} failed: {told[1]}")
    result: T = told[0]
    return result
