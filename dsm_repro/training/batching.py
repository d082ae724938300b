"""How one optimiser step is cut into forward passes, and what it costs: pure functions of the data order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.cost import ModelShape, train_flops

#: from this many weights on, activations are recomputed in the backward pass instead of kept
RECOMPUTE_FROM = 500_000_000
#: tokens of one forward pass on a CPU: more gains nothing there, and short passes need less padding
CPU_PASS_TOKENS = 2_048


def rows_at_once(micro_batch: int, device: str, length: float) -> int:
    """Rows of a trainer's forward pass at most: ``execution.micro_batch``, on a CPU fewer where they are long."""
    return min(micro_batch, max(int(CPU_PASS_TOKENS // length), 1)) if device == "cpu" else micro_batch


def split_batch(batch_size: int, micro_batch: int, processes: int = 1) -> tuple[int, int]:
    """(rows in one forward pass, forward passes per optimiser step) on each process.

    As few passes as ``micro_batch`` allows, of as few rows as hold the batch: their product times ``processes`` is
    ``batch_size`` or a little more, and what is more are rows from which nothing is learned (:func:`filled`).

    Raises:
        ConfigError: no rows.
    """
    if micro_batch < 1:
        raise ConfigError(f"execution.micro_batch={micro_batch}: a forward pass needs at least one row.")
    if batch_size < 1:
        raise ConfigError(f"a batch of {batch_size} rows: a step needs at least one.")
    share = _quotient_up(batch_size, processes)
    passes = _quotient_up(share, micro_batch)
    return _quotient_up(share, passes), passes


def _quotient_up(number: int, parts: int) -> int:
    return -(-number // parts)


def filled(order: Sequence[int], batch_size: int, size: int, fill: int) -> list[int]:
    """The batches of ``order`` with ``fill`` after each, up to ``size`` rows: so they can be cut into equal parts.

    The loss is a sum over target tokens, divided by their number, and a row without targets adds nothing to either.
    """
    if size == batch_size:
        return list(order)
    result: list[int] = []
    for start in range(0, len(order), batch_size):
        result += [*order[start : start + batch_size], *[fill] * (size - batch_size)]
    return result


def epoch_order(examples: int, total: int, seed: str) -> list[int]:
    """``total`` indices into ``examples`` rows: whole epochs, each in its own order, the last one cut."""
    order: list[int] = []
    for epoch in range(-(-total // examples)):
        indices = list(range(examples))
        random.Random(f"{seed}/{epoch}").shuffle(indices)
        order += indices
    return order[:total]


def sorted_within_batches(order: Sequence[int], lengths: Sequence[int], batch_size: int) -> list[int]:
    """The same batches, each sorted by length: forward passes of one batch then need little padding."""
    result: list[int] = []
    for start in range(0, len(order), batch_size):
        result += sorted(order[start : start + batch_size], key=lambda i: (-lengths[i], i))
    return result


@dataclass(frozen=True)
class StepCosts:
    """Cumulative tokens and FLOPs after each optimiser step; padding is not counted."""

    tokens: tuple[int, ...]
    flops: tuple[float, ...]

    @classmethod
    def of(
        cls, shape: ModelShape, order: Sequence[int], segments: Sequence[Sequence[int]], batch_size: int
    ) -> StepCosts:
        """``segments[i]``: lengths of the sequences in row ``i`` that attend only to themselves."""
        tokens, flops = [0], [0.0]
        for start in range(0, len(order), batch_size):
            lengths = [n for i in order[start : start + batch_size] for n in segments[i]]
            count = sum(lengths)
            tokens.append(tokens[-1] + count)
            flops.append(flops[-1] + train_flops(shape, count, float(sum(n * n for n in lengths))))
        return cls(tuple(tokens), tuple(flops))
