"""Accuracy at equal compute: what each arm had reached when all had spent the same.

An arm's ``curve.json`` has the answers of the policy at some points of its stage ``rl``; ``times.jsonl`` of that stage
has the seconds of its steps. Between two points the answers to a question are interpolated linearly on the axis that
is looked at (a question answered right at the second point only counts 0.25 a quarter of the way), so the mean over
questions is the interpolated accuracy, and intervals come from the same bootstrap over seeds and questions as
everywhere else. The difference of two arms is paired, by question and by seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsm_repro.reporting import statistics, verdict
from dsm_repro.reporting.accounts import stage_artifacts
from dsm_repro.reporting.measures import Column
from dsm_repro.reporting.records import Artifact, Sweep

#: seconds are compared where no arm's seeds differ by more than this factor in seconds for a FLOP: beyond it they tell
#: what else the machine did
MOST_UNEVEN = 1.5
#: what arms are made equal in, and how it is called on an axis
AXES = {"tokens": "generated tokens", "flops": "FLOPs", "seconds": "seconds"}


@dataclass(frozen=True)
class Traced:
    """One run's curve in one column: P evaluated models, Q questions."""

    arm: str
    seed: int
    #: axis -> (P,) spent by each model, from 0 and never falling; an axis that was not recorded is absent
    spent: dict[str, NDArray[np.float64]]
    questions: tuple[str, ...]
    #: (P, Q)
    right: statistics.Matrix


@dataclass(frozen=True)
class Line:
    """An arm on one axis: mean accuracy (percent) over its seeds, and the lowest and highest seed."""

    arm: str
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class AtEqual:
    """The arms at one amount on one axis; an arm that did not record the axis is absent."""

    axis: str
    amount: float
    intervals: dict[str, statistics.Interval]
    #: "a − b", in points, of the pairs asked for that share a seed
    differences: dict[str, statistics.Interval]


def traced(sweep: Sweep, column: Column) -> list[Traced]:
    """The curve of every run that has one under the column's protocol, each distinct evaluation once.

    Runs that were asked other questions than the first are left out: they cannot be set beside it.
    """
    found = []
    for run, artifact in stage_artifacts(sweep, "evaluate"):
        points = (artifact.curve.get("modes") or {}).get(column.mode) or []
        rl = run.artifacts.get("rl")
        protocol = (artifact.record.get("protocol") or {}).get(column.mode)
        if len(points) < 2 or rl is None or protocol != column.protocol:
            continue
        marks = [np.frombuffer(point["right"].encode(), dtype=np.uint8) for point in points]
        right = (np.array(marks) == ord("1")).astype(np.float64)
        found.append(Traced(run.arm, run.seed, _spent(points, rl), tuple(artifact.curve["questions"]), right))
    return [one for one in found if one.questions == found[0].questions]


def _spent(points: Sequence[dict[str, Any]], rl: Artifact) -> dict[str, NDArray[np.float64]]:
    seconds = {0: 0.0, **{int(line["step"]): float(line["seconds"]) for line in rl.times}}
    amounts = {
        "tokens": [point.get("tokens") for point in points],
        "flops": [point.get("flops") for point in points],
        "seconds": [seconds.get(int(point["step"])) for point in points],
    }
    whole = {axis: [v for v in values if v is not None] for axis, values in amounts.items()}
    return {
        axis: np.array(values, dtype=np.float64)
        for axis, values in whole.items()
        if len(values) == len(points) and all(a <= b for a, b in pairwise(values))
    }


def interpolated(one: Traced, axis: str, amount: float) -> NDArray[np.float64]:
    """(Q,) share of right answers to each question when ``amount`` had been spent.

    Where several models had spent the same (nothing was generated between them), the last of them counts.
    Raises ``ValueError`` for an amount that the run did not reach.
    """
    x = one.spent[axis]
    if not x[0] <= amount <= x[-1]:
        raise ValueError(f"{one.arm}, seed {one.seed}: {amount:g} {axis} lie outside [{x[0]:g}, {x[-1]:g}]")
    before = int(np.searchsorted(x, amount, side="right")) - 1
    if before == len(x) - 1:
        return np.asarray(one.right[-1])
    share = (amount - x[before]) / (x[before + 1] - x[before])
    return np.asarray((1 - share) * one.right[before] + share * one.right[before + 1])


def _by_arm(runs: Sequence[Traced], axis: str) -> dict[str, list[Traced]]:
    arms: dict[str, list[Traced]] = {}
    for one in runs:
        if axis in one.spent:
            arms.setdefault(one.arm, []).append(one)
    return arms


def at_equal(runs: Sequence[Traced], axis: str, pairs: Sequence[tuple[str, str]] = ()) -> AtEqual | None:
    """Every arm at the largest amount that all of them (each of their seeds) reached, and differences of ``pairs``.

    None where nothing was spent, and of seconds where they would compare loads of the machine.
    """
    arms = _by_arm(runs, axis)
    amount = min((float(one.spent[axis][-1]) for members in arms.values() for one in members), default=0.0)
    if amount <= 0.0 or (axis == "seconds" and uneven(runs)):
        return None
    rows = {arm: {one.seed: interpolated(one, axis, amount) for one in members} for arm, members in arms.items()}
    return AtEqual(
        axis,
        amount,
        {arm: statistics.accuracy(np.array(list(of_seed.values()))) for arm, of_seed in rows.items()},
        {verdict.minus(a, b): d for a, b in pairs if a in rows and b in rows and (d := _paired(rows[a], rows[b]))},
    )


def _paired(a: dict[int, NDArray[np.float64]], b: dict[int, NDArray[np.float64]]) -> statistics.Interval | None:
    common = sorted(a.keys() & b.keys())
    if not common:
        return None
    of_a, of_b = (np.array([of_seed[seed] for seed in common]) for of_seed in (a, b))
    found = statistics.paired_difference(of_a, of_b)
    return statistics.Interval(found.value, found.low, found.high, found.replicates, found.questions)


def uneven(runs: Sequence[Traced]) -> list[str]:
    """Arms whose seeds took very different times for the same FLOPs."""
    rates: dict[str, list[float]] = {}
    for one in runs:
        seconds, flops = (float(one.spent[axis][-1]) if axis in one.spent else 0.0 for axis in ("seconds", "flops"))
        if seconds > 0 and flops > 0:
            rates.setdefault(one.arm, []).append(seconds / flops)
    return [arm for arm, values in rates.items() if max(values) > MOST_UNEVEN * min(values)]


def lines(runs: Sequence[Traced], axis: str) -> Iterator[Line]:
    """One line per arm, at every amount at which one of its seeds was evaluated and that all of them reached."""
    for arm, members in _by_arm(runs, axis).items():
        last = min(float(one.spent[axis][-1]) for one in members)
        x = sorted({float(value) for one in members for value in one.spent[axis] if value <= last})
        each = np.array([[100 * float(interpolated(one, axis, v).mean()) for v in x] for one in members])
        yield Line(arm, x, each.mean(axis=0).tolist(), each.min(axis=0).tolist(), each.max(axis=0).tolist())
