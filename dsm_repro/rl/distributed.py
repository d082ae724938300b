"""Several processes at one step: data parallelism by shares of the questions and sums of the gradients.

Each process samples and rewards its share of a step's questions; all then see the whole exploration, so that
advantages, token weights, metrics and FLOPs are those of one process; each back-propagates its share of the rows,
and gradients are added up. Losses are sums over tokens with weights of the whole batch, so nothing is averaged.

Weights are whole on every process. Not covered: sharded weights (FSDP, DeepSpeed).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.group import OtherProcessError
from dsm_repro.pipeline.memory import BUCKET_BYTES
from dsm_repro.rl.batch import Batch

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among those that share a step; the default is one alone, for which every method is trivial."""

    rank: int = 0
    count: int = 1
    #: where what other processes send is put
    device: torch.device | str = "cpu"

    def check(self, questions_per_step: int) -> None:
        """Raises ConfigError where the questions of a step cannot be shared equally."""
        if questions_per_step % self.count:
            raise ConfigError(
                f"rl.questions_per_step={questions_per_step}: cannot be shared equally by {self.count} processes. "
                f"Set it to a multiple of {self.count}, or start fewer processes."
            )

    def share(self, items: int) -> range:
        """This process' part of ``items`` things in a row; parts are consecutive and differ by one at most."""
        return range(items * self.rank // self.count, items * (self.rank + 1) // self.count)

    def micro_batches(self, batch: Batch, rows: int) -> Iterator[tuple[Tensor, Batch]]:
        """This process' completions in parts of at most ``rows``, with their indices in the whole batch."""
        if self.count == 1:
            yield from batch.micro_batches(rows)
            return
        share = self.share(len(batch))
        if not share:
            return
        own = torch.arange(share.start, share.stop, device=batch.completion_ids.device)
        for index, part in batch.rows(own).micro_batches(rows):
            yield own[index], part

    def collect(self, call: Callable[[], T]) -> list[T]:
        """What ``call`` gives in each process, in their order.

        Raises:
            OtherProcessError: it raised in another process. Without this the others would wait for it for ever.
        """
        if self.count == 1:
            return [call()]
        result: T | None = None
        failure: Exception | None = None
        try:
            result = call()
        except Exception as error:
            failure = error
        buffer = io.BytesIO()
        torch.save((result, None if failure is None else f"{type(failure).__name__}: {failure}"), buffer)
        sent: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(sent, buffer.getvalue())
        if failure is not None:
            raise failure
        # accelerate names a process' CPU by its rank, which loading does not know
        place = torch.device(self.device) if torch.device(self.device).type != "cpu" else "cpu"
        received = [torch.load(io.BytesIO(data), map_location=place, weights_only=False) for data in sent]
        for rank, (_, message) in enumerate(received):
            if message is not None:
                raise OtherProcessError(f"process {rank} of {self.count} failed: {message}")
        return [value for value, _ in received]

    def first(self, call: Callable[[], T]) -> T:
        """``call`` in the first process alone, and what it gives, or that it failed, in all."""
        if self.count == 1:
            return call()
        results: list[Any] = self.collect(call if self.rank == 0 else lambda: None)  # type: ignore[arg-type, return-value]
        value: T = results[0]
        return value

    def total(self, value: Tensor) -> Tensor:
        """The sum over processes of tensors of one shape; changes ``value``."""
        if self.count > 1:
            torch.distributed.all_reduce(value)
        return value

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over processes: before clipping, which looks at the sum.

        A parameter without a gradient in every process keeps none, as an optimiser passes over it.
        """
        if self.count == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            return
        has = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32, device=trained[0].device)
        present = self.total(has).tolist()
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for parameter, processes in zip(trained, present, strict=True):
            if processes:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                by_dtype.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for bucket in (bucket for gradients in by_dtype.values() for bucket in buckets(gradients)):
            whole = self.total(torch.cat([gradient.flatten() for gradient in bucket]))
            parts = whole.split([gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def noise(self, generator: torch.Generator) -> contextlib.AbstractContextManager[Any]:
        """Inside, ``torch.rand(rows, generator=generator)`` draws for the rows of all processes and gives this one's.

        So a completion is drawn from the same noise whatever the number of processes. Every process must have as
        many rows, which :meth:`check` sees to.
        """
        return contextlib.nullcontext() if self.count == 1 else _SharedNoise(self, generator)


def buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors in order, together at most ``BUCKET_BYTES`` or one alone: what is sent at once is copied for it."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and size + gradient.nbytes > BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket


class _SharedNoise(TorchFunctionMode):
    def __init__(self, processes: Processes, generator: torch.Generator) -> None:
        super().__init__()
        self.processes, self.generator = processes, generator

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if options.get("generator") is not self.generator:
            return function(*args, **options)
        if function is not torch.rand or len(args) != 1 or not isinstance(args[0], int):
            raise TypeError(f"{function}: a sampler draws its noise by torch.rand(rows, generator=...) alone")
        rows = args[0]
        whole: Tensor = torch.rand(rows * self.processes.count, **options)
        return whole[rows * self.processes.rank : rows * (self.processes.rank + 1)]
