"""Intervals and tests for accuracies that were measured over seeds × questions.

Every function takes matrices of right (1) and wrong (0), one row per replicate (seed), one column per
question; two arms that are compared have the same columns. A replicate whose artifact is shared by
several seeds is one row.

The 95% interval is a hierarchical bootstrap of two levels. Questions, of which there are many, are drawn with
replacement, 10,000 times, under one constant seed. Seeds, of which there are few, are not resampled: three of them
would have ten outcomes and a spread that is too small. Their level is Student's t with R-1 degrees of freedom times
the standard error of the R means. An estimate is the sum of both, as in the Behrens-Fisher problem, and the two-sided
p value is twice the smaller tail, so that p < 0.05 and an interval that excludes 0 say the same.

With no true difference this decides at most as often as it should, however much the seeds differ (simulated in
``benchmarks/calibration.py``; docs/statistics.md has the table). The price is that three seeds detect large
differences only: t has 2 degrees of freedom then. Chance that a question is right at one seed and wrong at another is
in both levels, which is on the safe side.

Where fewer than five questions are unlike the others (all right, all wrong, all answered alike by both arms) resampling
them shows next to nothing of what other questions would have given. There the interval is at least that of Wilson's
score, for a difference of the shares gained and lost, combined as Newcombe does (Statistics in Medicine 17, 1998).

Only ``scipy.special`` is used, because importing ``scipy.stats`` or ``statsmodels`` alone costs more
than rendering a page; the tests hold these functions against statsmodels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtr, ndtri, stdtr, stdtrit

Matrix = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
_SEED = 2402_03300
_CHUNK = 1_000
_NODES = 500
#: with fewer questions unlike the others the bootstrap is not trusted alone
_FEWEST = 5
#: shares are rounded to this for the bootstrap, so that its float32 sums are exact (as they are for 0 and 1) with up to
#: 4,096 questions, and no machine's order of summation shows; the error of one share is at most 0.012 points
QUANTUM = 1 / 4096
#: below this a spread is that of rounding
_NOTHING = 1e-12
_Z = float(ndtri(0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Interval:
    """A share of right answers, in percent, with its 95% interval."""

    value: float
    low: float
    high: float
    replicates: int
    questions: int


@dataclass(frozen=True)
class Difference:
    """Arm a minus arm b on the same questions, in points."""

    value: float
    low: float
    high: float
    #: two-sided; from the bootstrap (several replicates) or McNemar's exact test (one)
    p: float
    #: two-sided, replicates taken as given: McNemar's exact test (one) or sign flips over questions (several)
    p_questions: float
    #: (question, replicate) cells that only a, and only b, got right
    only_a: int
    only_b: int
    replicates: int
    questions: int

    @property
    def discordant(self) -> int:
        return self.only_a + self.only_b


def wilson(right: float, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval for ``right`` of ``n``, as shares."""
    p, z2 = right / n, _Z * _Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * float(np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def newcombe(gained: float, lost: float, n: int) -> tuple[float, float]:
    """95% interval of ``gained``/n less ``lost``/n, as shares, from Wilson's intervals of the two."""
    up, down = gained / n, lost / n
    (up_low, up_high), (down_low, down_high) = wilson(gained, n), wilson(lost, n)
    low = up - down - float(np.hypot(up - up_low, down_high - down))
    high = up - down + float(np.hypot(up_high - up, down - down_low))
    return max(-1.0, low), min(1.0, high)


def _few(cells: Matrix) -> bool:
    """Whether nearly all questions gave the same, so that a bootstrap over them shows hardly any spread."""
    _, counts = np.unique(cells.mean(axis=0), return_counts=True)
    return bool(cells.shape[1] - counts.max() < _FEWEST)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """McNemar's exact two-sided p: the smaller count under Binomial(only_a + only_b, 1/2)."""
    n = only_a + only_b
    if n == 0:
        return 1.0
    return float(min(1.0, 2 * bdtr(min(only_a, only_b), n, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = running
    return adjusted


@lru_cache(maxsize=4)
def _question_counts(questions: int, resamples: int) -> NDArray[np.uint8]:
    """How often each question is drawn in each resample, (resamples, questions); shared by all arms."""
    rng = np.random.default_rng([_SEED, questions])
    counts = np.empty((resamples, questions), np.uint8)
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = rng.integers(0, questions, (rows, questions), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * questions
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * questions).reshape(rows, questions)
    return counts


def _bootstrap(cells: Matrix, resamples: int) -> NDArray[np.float64]:
    """How far means of ``cells`` (R, Q) over resampled questions lie from that over all, (resamples,)."""
    questions = cells.shape[1]
    counts = _question_counts(questions, resamples)
    exact = np.round(cells / QUANTUM) * QUANTUM
    columns = np.ascontiguousarray(exact.T, dtype=np.float32)
    means = np.concatenate(
        [counts[i : i + _CHUNK].astype(np.float32) @ columns for i in range(0, resamples, _CHUNK)]
    ).astype(np.float64)
    return np.asarray((means / questions).mean(axis=1)) - float(exact.mean())


def _nodes(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """The deviations' quantiles in at most 500 steps, each the mean of its step: enough to invert a smooth mixture."""
    edges = np.linspace(0, deviations.size, min(_NODES, deviations.size) + 1).astype(np.int64)
    sums = np.add.reduceat(np.sort(deviations), edges[:-1])
    return np.asarray(sums / np.diff(edges))


def _interval(cells: Matrix, resamples: int, null: float = 0.0) -> tuple[float, float, float, float]:
    """(mean, low, high, two-sided p of mean = ``null``) of ``cells`` (R, Q), as shares."""
    replicates, questions = cells.shape
    mean = float(cells.mean())
    deviations = _bootstrap(cells, resamples)
    error = float(cells.mean(axis=1).std(ddof=1)) / replicates**0.5 if replicates > 1 else 0.0
    if error < _NOTHING:
        low, high = (float(x) for x in np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
        spread = float(deviations.std(ddof=1))
        df = max(1.0, questions - 1.0)
        widen = float(stdtrit(df, (1 + LEVEL) / 2)) / _Z
        p = float(2 * stdtr(df, -abs(mean - null) / spread)) if spread > 0 else float(abs(mean - null) < _NOTHING)
        return mean, mean + widen * min(0.0, low), mean + widen * max(0.0, high), p
    df = replicates - 1
    below = float(stdtr(df, (null - mean - deviations) / error).mean())
    nodes = _nodes(deviations)
    low, high = (_mixture_quantile(nodes, error, df, tail) for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return mean, mean + low, mean + high, min(1.0, 2 * min(below, 1 - below))


def _mixture_quantile(nodes: NDArray[np.float64], error: float, df: int, tail: float) -> float:
    """Where the sum of a drawn node and ``error`` times Student's t has ``tail`` of its probability below it."""
    reach = abs(float(stdtrit(df, tail))) * error
    low, high = float(nodes[0]) - reach, float(nodes[-1]) + reach
    while high - low > 1e-6:  # a ten-thousandth of a point
        middle = (low + high) / 2
        if float(stdtr(df, (middle - nodes) / error).mean()) < tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def accuracy(cells: Matrix, resamples: int = RESAMPLES) -> Interval:
    """Accuracy of one arm from ``cells`` (R, Q) of 0/1, in percent.

    One replicate: Wilson's interval. Several: the hierarchical bootstrap (and Wilson's, where few questions differ).
    """
    replicates, questions = cells.shape
    if replicates == 1:
        low, high = wilson(float(cells.sum()), questions)
        return Interval(100 * float(cells.mean()), 100 * low, 100 * high, 1, questions)
    mean, low, high, _ = _interval(cells, resamples)
    if _few(cells):
        least, most = wilson(mean * questions, questions)
        low, high = min(low, least), max(high, most)
    return Interval(100 * mean, 100 * max(0.0, low), 100 * min(1.0, high), replicates, questions)


def sign_flip_p(per_question: NDArray[np.float64], resamples: int = RESAMPLES) -> float:
    """Two-sided permutation p: under no difference each question's mean difference may change its sign.

    Questions without a difference do not move the statistic and are left out before the signs are drawn.
    """
    moved = per_question[per_question != 0]
    if moved.size == 0:
        return 1.0
    rng = np.random.default_rng([_SEED, 2, moved.size])
    observed = abs(float(moved.sum()))
    hits = 0
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        signs = rng.integers(0, 2, (rows, moved.size), dtype=np.int8).astype(np.float64) * 2 - 1
        hits += int((np.abs(signs @ moved) >= observed - 1e-9).sum())
    return (hits + 1) / (resamples + 1)


def paired_difference(
    a: Matrix, b: Matrix, resamples: int = RESAMPLES, permute: bool = True, null: float = 0.0
) -> Difference:
    """Arm ``a`` minus arm ``b``, (R, Q) each with the same questions; row i of both is the same seed.

    ``null`` (points) is the difference that ``p`` tests; another than 0 has no McNemar test, so one replicate gets
    the bootstrap's p too. ``p_questions`` tests 0 whatever ``null`` is.

    An arm with one row is set against every row of the other (one checkpoint against several).
    Raises ``ValueError`` when the shapes cannot be paired.
    """
    if a.shape[1] != b.shape[1] or (a.shape[0] != b.shape[0] and 1 not in (a.shape[0], b.shape[0])):
        raise ValueError(f"cannot pair replicates × questions {a.shape} with {b.shape}")
    cells = a - b
    mean, low, high, p = _interval(cells, resamples, null / 100)
    if _few(cells):
        gained, lost = (a.shape[1] * float(side.clip(min=0).mean()) for side in (cells, -cells))
        least, most = newcombe(gained, lost, a.shape[1])
        reach = mean - least if null / 100 < mean else most - mean
        low, high = min(low, least), max(high, most)
        p = max(p, float(2 * ndtr(-_Z * abs(mean - null / 100) / max(reach, _NOTHING))))
    only_a, only_b = int((cells > 0).sum()), int((cells < 0).sum())
    if cells.shape[0] == 1:
        p_questions = mcnemar_exact(only_a, only_b)
        p = p if null else p_questions
    else:
        p_questions = sign_flip_p(cells.mean(axis=0), resamples) if permute else float("nan")
    # with few seeds that differ much t reaches beyond what a difference can be
    low, high = max(-1.0, low), min(1.0, high)
    return Difference(100 * mean, 100 * low, 100 * high, p, p_questions, only_a, only_b, cells.shape[0], cells.shape[1])
