"""The comparisons of a claim: which rows of two arms belong together, their difference, and the word for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dsm_repro.reporting import at_k, statistics, verdict

if TYPE_CHECKING:
    from dsm_repro.reporting.measures import Measured

ONE_SEED = "one seed: what another would have given is not known, so the difference decides nothing"
ONE_MODEL = (
    "one trained model on each side, evaluated more than once: what another seed of training would have given is not "
    "known, so the difference decides nothing"
)


class Outcome(NamedTuple):
    """What two arms' answers show, before there is a word for it."""

    difference: statistics.Difference | None
    #: why there is no difference, or what to know about the pairing
    remark: str
    #: of a and of b; empty where there is no difference
    columns: tuple[str, str] = ("", "")
    #: pairs of trained models that the rows are of: fewer than rows where one was evaluated several times
    models: int = 0


@dataclass(frozen=True)
class Compared:
    """One comparison of the claim."""

    a: str
    b: str
    #: of a and of b: one and the same but where the mode is the factor
    modes: tuple[str, str]
    #: accuracy | maj@K | pass@K
    metric: str
    expect: str
    #: points, of expect=a_not_greater
    margin: float
    #: of a and of b; empty where there is no difference
    columns: tuple[str, str]
    difference: statistics.Difference | None
    p_holm: float | None
    verdict: str
    #: why there is no difference, or what to know about the pairing
    remark: str
    #: measured on one model of each arm, where another seed would have given another model
    decides_nothing: bool = False

    @property
    def border(self) -> float:
        return verdict.border_of(self.expect, self.margin)

    @property
    def sentence(self) -> str:
        return verdict.sentence(self.a, self.b, self.difference, self.remark, self.metric)

    @property
    def column(self) -> str:
        """The column in words; where the mode is the factor, both."""
        mine, other = self.columns if all(self.columns) else self.modes
        return mine if mine == other else f"{mine} against {other}"

    @property
    def where(self) -> str:
        """The column, and the metric where it is not accuracy."""
        return self.column if self.metric == "accuracy" else f"{self.column}, {self.metric}"


def margin_of(claim: Mapping[str, Any]) -> float:
    return float(claim.get("margin") or 0.0)


def metric_of(claim: Mapping[str, Any]) -> str:
    return str(claim.get("metric") or "accuracy")


def modes_of(claim: Mapping[str, Any]) -> tuple[str, str]:
    mode = str(claim.get("mode") or "cot")
    return mode, str(claim.get("mode_b") or mode)


def _pairs(a: Measured, b: Measured) -> tuple[list[int], list[int], str]:
    """Rows of a and b that belong together, and what the reader should know about it.

    A checkpoint that all seeds share stands against every row of the other arm. One that belongs to one seed does not,
    even if it is all that an arm has left: that seed alone is compared.
    """
    row_of_a = {seed: row for row, seeds in enumerate(a.seeds) for seed in seeds}
    row_of_b = {seed: row for row, seeds in enumerate(b.seeds) for seed in seeds}
    common = sorted(row_of_a.keys() & row_of_b.keys())
    if not common:
        rows = min(len(a.seeds), len(b.seeds))
        return list(range(rows)), list(range(rows)), "no seed in common: replicates are paired in order"
    # two shared checkpoints are one pair, however many seeds share them
    pairs = list(dict.fromkeys((row_of_a[seed], row_of_b[seed]) for seed in common))
    rows_a, rows_b = [row for row, _ in pairs], [row for _, row in pairs]
    left_out = len(row_of_a.keys() ^ row_of_b.keys())
    remarks = [f"{left_out} seed(s) that only one arm has are left out"] if left_out else []
    for m, rows_of in ((a, rows_a), (b, rows_b)):
        if len(set(rows_of)) == 1 < len(pairs):
            remarks.append(f"{m.arm} has one checkpoint, set against every seed of the other")
    return rows_a, rows_b, "; ".join(remarks)


def compare(
    a: Measured, b: Measured, margin: float = 0.0, metric: str = "accuracy", resamples: int = statistics.RESAMPLES
) -> Outcome:
    """Paired difference of two arms on common questions, tested against ``margin`` points."""
    rows_a, rows_b, remark = _pairs(a, b)
    found = [m.right if metric == "accuracy" else at_k.cells(m.votes, m.questions, metric) for m in (a, b)]
    for m, cells in zip((a, b), found, strict=True):
        if cells is None:
            return Outcome(None, f"{m.arm} has no {metric}")
    matrix_a, matrix_b = (np.asarray(cells)[rows] for cells, rows in zip(found, (rows_a, rows_b), strict=True))
    if a.questions != b.questions:
        at = {q: i for i, q in enumerate(b.questions)}
        common = [(i, at[q]) for i, q in enumerate(a.questions) if q in at]
        if not common:
            return Outcome(None, "the arms share no question")
        matrix_a, matrix_b = matrix_a[:, [i for i, _ in common]], matrix_b[:, [j for _, j in common]]
        remark = "; ".join(filter(None, (remark, f"only the {len(common)} questions that both answered")))
    difference = statistics.paired_difference(matrix_a, matrix_b, resamples, null=margin)
    models = {(a.models[i], b.models[j]) for i, j in zip(rows_a, rows_b, strict=True)}
    return Outcome(difference, remark, (a.column.id, b.column.id), len(models))


def judged(
    claims: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome], untrained: Collection[str] = ()
) -> tuple[Compared, ...]:
    """Every comparison with its word; Holm goes over all that have a difference.

    ``untrained`` are the arms in which nothing depends on a seed: there one checkpoint is all there is.
    """
    adjusted = iter(statistics.holm([o.difference.p for o in outcomes if o.difference is not None]))
    compared = []
    for claim, (difference, remark, columns, models) in zip(claims, outcomes, strict=True):
        a, b, expect = str(claim["a"]), str(claim["b"]), str(claim.get("expect") or "a_greater")
        p_holm = next(adjusted) if difference is not None else None
        one_model = difference is not None and models == 1 and not {a, b} <= set(untrained)
        if difference is not None and one_model and expect != "none":
            remark = "; ".join(filter(None, (remark, ONE_SEED if difference.replicates == 1 else ONE_MODEL)))
        compared.append(
            Compared(
                a=a,
                b=b,
                modes=modes_of(claim),
                metric=metric_of(claim),
                expect=expect,
                margin=margin_of(claim),
                columns=columns,
                difference=difference,
                p_holm=p_holm,
                verdict=verdict.judge(difference, p_holm, expect, margin_of(claim), decisive=not one_model),
                remark=remark,
                decides_nothing=one_model,
            )
        )
    return tuple(compared)
