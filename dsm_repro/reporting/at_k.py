"""Maj@K and Pass@K (§5.2.2, Fig. 7) from the votes that an evaluation recorded: matrices, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsm_repro.config.sweep_schema import metric_at_k, recorded_ks
from dsm_repro.reporting import statistics

if TYPE_CHECKING:
    from dsm_repro.reporting.measures import Measured, Results

#: the rows of ``at_k.jsonl`` by question, one mapping for each replicate
Votes = tuple[Mapping[str, Mapping[str, Any]], ...]

KINDS = ("maj", "pass")
#: for the bands alone; a comparison takes the full number
RESAMPLES = 2_000


def _drawn(votes: Votes, questions: Sequence[str]) -> int:
    """How many answers were drawn for every question in every replicate; 0 where that is not one number."""
    counts = {int(row[q]["n"]) if q in row else 0 for row in votes for q in questions}
    return counts.pop() if len(counts) == 1 else 0


def cells(votes: Votes, questions: Sequence[str], metric: str) -> statistics.Matrix | None:
    """Scores in [0, 1] of ``maj@K`` or ``pass@K``, (replicates, questions); None where it was not recorded."""
    found = metric_at_k(metric)
    ks = recorded_ks(_drawn(votes, questions))
    if found is None or found[1] not in ks:
        return None
    kind, at = found[0], ks.index(found[1])
    scores = np.array([[row[q][kind][at] for q in questions] for row in votes], dtype=np.float64)
    return np.asarray(np.round(scores / statistics.QUANTUM) * statistics.QUANTUM)


@dataclass(frozen=True)
class Line:
    """One arm's Maj@K or Pass@K over K, in percent with 95% intervals over seeds × problems."""

    arm: str
    mode: str
    column: str
    #: maj | pass
    kind: str
    ks: tuple[int, ...]
    intervals: tuple[statistics.Interval, ...]


def _interval(scores: statistics.Matrix) -> statistics.Interval:
    # a difference from nothing: Wilson's interval, which one replicate of right and wrong gets, is not for shares
    d = statistics.paired_difference(scores, np.zeros_like(scores), RESAMPLES, permute=False)
    return statistics.Interval(d.value, max(0.0, d.low), min(100.0, d.high), d.replicates, d.questions)


def _line(m: Measured, kind: str) -> Line | None:
    ks = tuple(recorded_ks(_drawn(m.votes, m.questions)))
    scores = [cells(m.votes, m.questions, f"{kind}@{k}") for k in ks if k]
    intervals = tuple(_interval(s) for s in scores if s is not None)
    if not intervals:
        return None
    return Line(m.arm, m.column.mode, m.column.id, kind, ks, intervals)


def lines(results: Results) -> list[Line]:
    """Every arm's lines, in the order of columns and arms; empty where no evaluation drew answers."""
    found = [_line(m, kind) for m in results.measured.values() for kind in KINDS]
    return [line for line in found if line is not None]
