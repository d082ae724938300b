"""Seconds of one GRPO step: ours beside stock ``trl.GRPOTrainer``, in one process, step by step in turn.

    python benchmarks/rl_step.py [--hidden 96] [--limit 48] [--steps 7] [--seconds 40]
                                 [--threads 1] [--dtype float32]

Both sides start from the same weights and have the same prompts, reward (a plain function of the text), group size
(16 questions x 8 completions), length limit, beta 0.04, optimiser and batch (one update of all 128 completions).
Theirs generates through transformers. Each side runs its own training loop in a thread of its own and waits at the
start of each step for its turn: A, B, A, B, ... Ratios are of neighbours, so that what else the machine does meets
both; the table has medians. The first step of each side is not counted. After ``--seconds`` a model's pairs end
early, two at least. "processor" is the processor time of a step, which other processes lengthen less than its seconds.

Lengths: a model that was just made hardly ever ends. Its embedding is scaled down until it draws all tokens about
equally often, and 16 of its 512 tokens end a completion: a mean of 32 tokens before the limit cuts, on both sides,
with some row at the limit in almost every step. The noise is each side's own, so the tokens of single steps differ.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from _rl_turns import Player, Step, watch_ours, watch_theirs
from _rl_world import SHAPES, Shape, World, shape_of
from rich.console import Console
from rich.table import Table

#: (hidden size, length limit) where no size is asked for
DEFAULT_CASES = ((96, 48), (96, 72), (128, 72), (512, 48))
LEAST_PAIRS = 2


def measure(
    shape: Shape, limit: int, steps: int, seconds: float, threads: int, dtype: str
) -> tuple[int, list[Step], list[Step]]:
    """Parameters, and the steps of TRL and of ours in the order in which they were taken."""
    with tempfile.TemporaryDirectory() as scratch:
        world = World(shape, limit, dtype, Path(scratch))
        players = Player("trl", threads), Player("ours", threads)
        trainers = world.theirs(players[0]), world.ours(players[1])
        watch_theirs(trainers[0], players[0])
        watch_ours(trainers[1], players[1])
        for player, trainer in zip(players, trainers, strict=True):
            player.start(trainer)
        began = time.perf_counter()
        taken = 0
        for pair in range(1 + steps):
            if pair > LEAST_PAIRS and time.perf_counter() - began > seconds:
                break
            for player in players:
                player.play()
            taken = pair
        for player in players:
            player.stop()
        return world.parameters, players[0].steps[1 : 1 + taken], players[1].steps[1 : 1 + taken]


def add_rows(table: Table, name: str, theirs: list[Step], ours: list[Step]) -> None:
    for label, side in (("trl", theirs), ("ours", ours)):
        parts = [median(getattr(step, part) for step in side) for part in ("total", "sampling", "reference", "rest")]
        tokens = median(step.tokens for step in side)
        processor = median(step.processor for step in side)
        table.add_row(name, label, *(f"{value:.3f}" for value in parts), f"{processor:.3f}", f"{tokens:.0f}")
        name = ""
    pairs = list(zip(theirs, ours, strict=True))
    ratios = [
        median(getattr(a, part) / getattr(b, part) for a, b in pairs)
        for part in ("total", "sampling", "reference", "rest", "processor")
    ]
    spread = sorted(a.total / b.total for a, b in pairs)
    table.add_row(
        "", "trl / ours", *(f"{ratio:.2f}" for ratio in ratios), f"{spread[0]:.2f}-{spread[-1]:.2f}", end_section=True
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, help=f"{', '.join(map(str, SHAPES))} or a multiple of 64 (default: all)")
    parser.add_argument("--limit", type=int, default=48, help="tokens of a completion at most, with --hidden")
    parser.add_argument("--steps", type=int, default=7, help="counted pairs of steps")
    parser.add_argument("--seconds", type=float, default=40.0, help="of a model, after which its pairs end early")
    parser.add_argument("--threads", type=int, default=1, help="a sweep gives each of its workers one")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "bfloat16"), help="of the products, both sides"
    )
    options = parser.parse_args(arguments)
    cases = DEFAULT_CASES if options.hidden is None else ((options.hidden, options.limit),)
    table = Table(title="seconds of a GRPO step, 128 completions, medians of pairs")
    for heading in ("model", "side", "step", "sampling", "reference", "update, rest", "processor", "tokens"):
        table.add_column(heading, justify="left" if heading in ("model", "side") else "right")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.threads} thread(s), {options.dtype}")
    for hidden, limit in cases:
        shape = shape_of(hidden)
        parameters, theirs, ours = measure(shape, limit, options.steps, options.seconds, options.threads, options.dtype)
        add_rows(table, f"{shape.name} ({parameters / 1e6:.2f}M), {limit} tokens, {len(ours)}×2", theirs, ours)
    table.caption = "×2: pairs of steps; last row of a model: medians of the pairs' ratios; under tokens their range"
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
