"""Maj@K and Pass@K (§5.2.2, Fig. 7): from n graded answers to one problem to its expected score with K of them.

Both are expectations over the K-subsets of the n answers, in closed form, so that nothing but the answers
themselves is random. Not covered: voting that weighs answers by a reward or by their probability.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsm_repro.config.evaluation_schema import EvaluationConfig
from dsm_repro.config.sweep_schema import recorded_ks
from dsm_repro.reasoning.grading import Verdict

#: comparisons of two wrong answers to one problem that need a parser; past them an answer stands for itself
MOST_PARSED_PAIRS = 200
#: rules of the grader that cost microseconds
_CHEAP = ("string", "number")
#: characters of an answer that ``at_k.jsonl`` shows
_SHOWN = 80
_DECIMALS = 9


@dataclass(frozen=True)
class Answer:
    """One drawn answer as the grader saw it; ``text`` None where none was found."""

    text: str | None
    #: correct | incorrect | no_answer | ungradable
    status: str


@dataclass(frozen=True)
class Tally:
    """How the n answers to one problem fall into classes of equal answers. Counts sum to ``n``."""

    n: int
    #: answers that the grader calls correct: one class
    right: int
    #: classes of wrong answers, most votes first: (a text of the class, votes)
    wrong: tuple[tuple[str, int], ...]
    #: answers that do not vote
    silent: int
    #: of the wrong ones, how many could not be graded
    ungradable: int = 0
    #: the most frequent text of the right class
    right_text: str = ""
    #: pairs of wrong answers left uncompared because of ``MOST_PARSED_PAIRS``
    uncompared: int = 0


def tally(answers: Sequence[Answer], grade: Callable[[str, str], Verdict]) -> Tally:
    """Count votes over classes of equal answers, as the grader decides equality (``1/2`` and ``0.5`` vote together).

    All correct answers are one class. A wrong answer joins the first class, in the order of votes of the texts, whose
    text it is graded equal to; equal strings are not graded. Equality with a tolerance is not transitive, so
    the order matters in principle; it does not depend on the order of the answers. An ungradable answer votes
    with the same text only.
    """
    status = {a.text: a.status for a in answers if a.text is not None}
    votes = Counter(a.text for a in answers if a.text is not None and a.status not in ("correct", "no_answer"))
    classes: list[tuple[str, int, bool]] = []
    parsed = uncompared = 0
    for text, count in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        gradable = status[text] != "ungradable"
        home = None
        for i, (other, _, open_to_others) in enumerate(classes):
            if not (gradable and open_to_others):
                continue
            if parsed >= MOST_PARSED_PAIRS:
                uncompared += 1
                continue
            verdict = grade(text, other)
            parsed += verdict.reason not in _CHEAP
            if verdict.correct:
                home = i
                break
        if home is None:
            classes.append((text, count, gradable))
        else:
            classes[home] = (classes[home][0], classes[home][1] + count, True)
    correct = Counter(a.text or "" for a in answers if a.status == "correct")
    right, right_text = correct.total(), min(correct, key=lambda text: (-correct[text], text), default="")
    wrong = sorted(((text, count) for text, count, _ in classes), key=lambda item: (-item[1], item[0]))
    silent = len(answers) - right - votes.total()
    ungradable = sum(a.status == "ungradable" for a in answers)
    return Tally(len(answers), right, tuple(wrong), silent, ungradable, right_text, uncompared)


def pass_at_k(n: int, right: int, k: int) -> float:
    """The probability that at least one of ``k`` of ``n`` answers is right, ``right`` of which are.

    1 - C(n-c, k) / C(n, k), the unbiased estimator of Chen et al. 2021, arXiv:2107.03374, §2.1.
    """
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)


def maj_at_k(right: int, wrong: Sequence[int], silent: int, ks: Sequence[int]) -> list[float]:
    """The probability that a majority vote over ``k`` of the answers is right, for each k of ``ks``.

    The k answers are drawn without replacement from ``right`` + sum(``wrong``) + ``silent`` ones. The class with the
    most votes wins; where several have as many, each wins with the same probability, so a tie counts the
    share of tied classes that are right (at most one is). ``silent`` answers do not vote, and no vote at all
    is not right.

    Exact: with j votes for the right class, every wrong class has at most j, and t classes with exactly j weigh
    1 / (1+t) = ∫ y^t dy over [0, 1]. So the subsets are counted by the coefficient of x^(k-j) in

        C(right, j) · ∫ Π_w (Σ_{i<j} C(w, i) x^i + y C(w, j) x^j) dy · (1+x)^silent

    and the integral of a polynomial in y is a Gauss-Legendre sum with enough nodes.
    """
    n, most = right + sum(wrong) + silent, max(ks)
    counts = np.zeros(most + 1)
    for j in range(1, min(right, most) + 1):
        rest = most - j
        # a class of fewer than j cannot tie: it is as free as the silent ones
        free = silent + sum(w for w in wrong if w < j)
        rivals = [w for w in wrong if w >= j]
        nodes, weights = _unit_nodes(min(len(rivals), rest // j) // 2 + 1)
        product = np.tile(_binomials(free, rest), (len(nodes), 1))
        for w in rivals:
            factor = np.tile(_binomials(w, min(j, rest)), (len(nodes), 1))
            if rest >= j:
                factor[:, j] *= nodes
            product = _multiply(product, factor)
        counts[j:] += float(math.comb(right, j)) * (weights @ product)
    return [min(1.0, float(counts[k]) / float(math.comb(n, k))) for k in ks]


def _unit_nodes(q: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights on [0, 1], exact for degrees below 2q."""
    nodes, weights = np.polynomial.legendre.leggauss(q)
    return (nodes + 1) / 2, weights / 2


def _binomials(n: int, degree: int) -> NDArray[np.float64]:
    """Coefficients of (1+x)^n up to ``degree``, (degree+1,)."""
    return np.array([float(math.comb(n, i)) for i in range(degree + 1)])


def _multiply(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of polynomials row by row, (q, d+1) · (q, e+1) with e ≤ d, cut at degree d."""
    product = np.zeros_like(a)
    for i in range(b.shape[1]):
        product[:, i:] += b[:, i : i + 1] * a[:, : a.shape[1] - i]
    return product


def row(counted: Tally, truncated: int) -> dict[str, Any]:
    """What ``at_k.jsonl`` keeps of one problem: its classes (text, votes, right), and its scores at each recorded K.

    ``truncated``: how many of the answers the length limit ended.
    """
    ks = recorded_ks(counted.n)
    votes = [count for _, count in counted.wrong]
    classes: list[list[Any]] = [[text[:_SHOWN], count, False] for text, count in counted.wrong]
    if counted.right:
        classes.insert(0, [counted.right_text[:_SHOWN], counted.right, True])
    return {
        "n": counted.n,
        "c": counted.right,
        "no_answer": counted.silent,
        "ungradable": counted.ungradable,
        "truncated": truncated,
        "uncompared": counted.uncompared,
        "classes": classes,
        "pass": [round(pass_at_k(counted.n, counted.right, k), _DECIMALS) for k in ks],
        "maj": [round(value, _DECIMALS) for value in maj_at_k(counted.right, votes, counted.silent, ks)],
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the problems of one mode.

    ``pass`` and ``maj`` are shares of problems, ``no_answer``, ``ungradable`` and ``truncated`` of all answers.
    """
    n = int(rows[0]["n"])
    return {
        "n": n,
        "k": recorded_ks(n),
        "pass": [float(v) for v in np.mean([r["pass"] for r in rows], axis=0)],
        "maj": [float(v) for v in np.mean([r["maj"] for r in rows], axis=0)],
        "no_answer": sum(r["no_answer"] for r in rows) / (n * len(rows)),
        "ungradable": sum(r["ungradable"] for r in rows) / (n * len(rows)),
        "truncated": sum(r["truncated"] for r in rows) / (n * len(rows)),
        "uncompared": sum(r["uncompared"] for r in rows),
    }


def protocol(evaluation: EvaluationConfig) -> str:
    """How the answers are drawn, in words."""
    return (
        f"{evaluation.samples} answers at temperature {evaluation.sample_temperature:g}, "
        f"top-p {evaluation.sample_top_p:g}"
    )


def identity(evaluation: EvaluationConfig, seed: int) -> dict[str, Any]:
    """What the draw adds to the identity of an evaluation: nothing where none is made."""
    if evaluation.samples == 1:
        return {}
    return {
        "sampled": {
            "samples": evaluation.samples,
            "temperature": evaluation.sample_temperature,
            "top_p": evaluation.sample_top_p,
            "seed": seed,
        }
    }
