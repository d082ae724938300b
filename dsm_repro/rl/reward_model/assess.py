"""How good a reward model is on questions that it has not seen: pure functions of scores and labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

BINS = 10


def accuracy(scores: Sequence[float], labels: Sequence[float]) -> float:
    """Share of the scores on the label's side of one half; a soft label of one half counts as right."""
    return float(np.mean((np.asarray(scores) >= 0.5) == (np.asarray(labels) >= 0.5)))


def auc(scores: Sequence[float], right: Sequence[bool]) -> float | None:
    """Probability that a right one scores above a wrong one, ties counting half; None where there is only one kind."""
    flags = np.asarray(right, dtype=bool)
    positives, negatives = int(flags.sum()), int((~flags).sum())
    if positives == 0 or negatives == 0:
        return None
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[flags].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def calibration(scores: Sequence[float], labels: Sequence[float], bins: int = BINS) -> dict[str, Any]:
    """Predicted against observed share in bins of equal width, and the expected calibration error.

    The error is the mean over all scores of |mean score - mean label| of the score's bin.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    places = np.minimum((values * bins).astype(int), bins - 1)
    table, error = [], 0.0
    for place in range(bins):
        inside = places == place
        count = int(inside.sum())
        if count == 0:
            continue
        predicted, observed = float(values[inside].mean()), float(truth[inside].mean())
        error += count / len(values) * abs(predicted - observed)
        table.append(
            {"from": place / bins, "to": (place + 1) / bins, "count": count, "predicted": predicted,
             "observed": observed}
        )  # fmt: skip
    return {"bins": table, "expected_error": error}


def ranking(questions: Sequence[str], scores: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """How often a right solution of a question scores above a wrong one of it, ties counting half.

    Pairs are pooled over the questions that have both kinds; ``share`` is None where none has.
    """
    groups: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for question, score, good in zip(questions, scores, right, strict=True):
        groups[question][good].append(score)
    pairs, won, mixed = 0, 0.0, 0
    for wrong_scores, right_scores in groups.values():
        mixed += bool(wrong_scores and right_scores)
        pairs += len(wrong_scores) * len(right_scores)
        won += sum((a > b) + 0.5 * (a == b) for a in right_scores for b in wrong_scores)
    return {"questions": mixed, "pairs": pairs, "share": won / pairs if pairs else None}


def judged(scores: Sequence[float], labels: Sequence[float]) -> dict[str, Any]:
    """All of it for one kind of position. ``majority`` is the accuracy of always saying the more frequent label."""
    share = float(np.mean(np.asarray(labels) >= 0.5))
    return {
        "count": len(scores),
        "positive_share": share,
        "majority": max(share, 1 - share),
        "accuracy": accuracy(scores, labels),
        "auc": auc(scores, [label >= 0.5 for label in labels]),
        "calibration": calibration(scores, labels),
    }
