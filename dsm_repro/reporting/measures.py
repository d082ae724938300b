"""From samples to numbers: accuracies, paired comparisons, categories, under the protocol guard.

A *column* is an evaluation mode under one protocol. Two arms whose protocols differ in anything (prompt,
shots, decoding, length, extractor, grader, sandbox, problems) never share a column. See ``protocols.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from dsm_repro.reporting import at_k, protocols, statistics, verdict
from dsm_repro.reporting.records import Artifact, Sweep

_CATEGORY_RESAMPLES = 2_000


@dataclass(frozen=True)
class Column:
    """One evaluation mode under one protocol."""

    id: str
    mode: str
    protocol: dict[str, Any]
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What one arm answered in one column: a row per replicate, a column per question."""

    arm: str
    column: Column
    #: seeds of each row; several where they share one artifact
    seeds: tuple[tuple[int, ...], ...]
    questions: tuple[str, ...]
    right: statistics.Matrix
    interval: statistics.Interval
    samples: tuple[dict[str, dict[str, Any]], ...]
    #: votes of the drawn answers, aligned with ``samples``; empty where none were drawn
    votes: at_k.Votes = ()


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


@dataclass(frozen=True)
class CategoryValue:
    arm: str
    column: str
    category: str
    interval: statistics.Interval


@dataclass(frozen=True)
class Results:
    columns: tuple[Column, ...]
    #: (arm, column id)
    measured: dict[tuple[str, str], Measured]
    compared: tuple[Compared, ...]
    categories: tuple[CategoryValue, ...]
    verdict: str


def question_id(sample: dict[str, Any]) -> str:
    return f"{sample.get('task', '')}/{sample['id']}"


def _evaluations(sweep: Sweep, arm: str) -> dict[str, tuple[Artifact, list[int]]]:
    """The arm's distinct evaluations: key -> (artifact, seeds that share it)."""
    found: dict[str, tuple[Artifact, list[int]]] = {}
    for run in sweep.runs:
        artifact = run.evaluation
        if run.arm == arm and artifact is not None:
            found.setdefault(artifact.key, (artifact, []))[1].append(run.seed)
    return found


def _columns(sweep: Sweep) -> list[Column]:
    modes: dict[str, dict[str, tuple[dict[str, Any], list[str]]]] = {}
    for run in sweep.runs:
        if run.evaluation is None:
            continue
        record = run.evaluation.record
        protocols = record.get("protocol") or {}
        for mode in record.get("results") or protocols:
            protocol = protocols.get(mode) or {}
            text = json.dumps(protocol, sort_keys=True)
            arms = modes.setdefault(mode, {}).setdefault(text, (protocol, []))[1]
            if run.arm not in arms:
                arms.append(run.arm)
    columns = []
    for mode, found in modes.items():
        for i, (protocol, arms) in enumerate(found.values(), 1):
            name = mode if len(found) == 1 else f"{mode} (protocol {i})"
            columns.append(Column(name, mode, protocol, tuple(arms)))
    return columns


def _measure(sweep: Sweep, arm: str, column: Column) -> Measured | None:
    rows: list[dict[str, dict[str, Any]]] = []
    votes: list[dict[str, dict[str, Any]]] = []
    seeds: list[tuple[int, ...]] = []
    for artifact, shared in _evaluations(sweep, arm).values():
        protocol = (artifact.record.get("protocol") or {}).get(column.mode) or {}
        if protocol != column.protocol:
            continue
        samples = {question_id(s): s for s in artifact.samples if s.get("mode") == column.mode}
        if samples:
            rows.append(samples)
            votes.append({question_id(v): v for v in artifact.at_k if v.get("mode") == column.mode})
            seeds.append(tuple(shared))
    if not rows:
        return None
    questions = tuple(q for q in rows[0] if all(q in row for row in rows))
    if not questions:
        return None
    right = np.array([[bool(row[q]["correct"]) for q in questions] for row in rows], dtype=np.float64)
    return Measured(arm, column, tuple(seeds), questions, right, statistics.accuracy(right), tuple(rows), tuple(votes))


def _pairs(a: Measured, b: Measured) -> tuple[list[int], list[int], str]:
    """Rows of a and b that belong together, and what the reader should know about it."""
    rows_a, rows_b = list(range(len(a.seeds))), list(range(len(b.seeds)))
    if len(rows_a) == 1 or len(rows_b) == 1:
        if len(rows_a) == len(rows_b):
            return rows_a, rows_b, ""
        single = a.arm if len(rows_a) == 1 else b.arm
        return rows_a, rows_b, f"{single} has one checkpoint, set against every seed of the other"
    row_of_a = {seed: row for row, seeds in enumerate(a.seeds) for seed in seeds}
    row_of_b = {seed: row for row, seeds in enumerate(b.seeds) for seed in seeds}
    common = sorted(row_of_a.keys() & row_of_b.keys())
    if common:
        left_out = len(row_of_a.keys() ^ row_of_b.keys())
        remark = f"{left_out} seed(s) that only one arm has are left out" if left_out else ""
        return [row_of_a[s] for s in common], [row_of_b[s] for s in common], remark
    rows = min(len(rows_a), len(rows_b))
    return rows_a[:rows], rows_b[:rows], "no seed in common: replicates are paired in order"


def compare(
    a: Measured, b: Measured, margin: float = 0.0, metric: str = "accuracy"
) -> tuple[statistics.Difference | None, str]:
    """Paired difference of two arms on common questions, tested against ``margin`` points; a remark on the pairing."""
    rows_a, rows_b, remark = _pairs(a, b)
    found = [m.right if metric == "accuracy" else at_k.cells(m.votes, m.questions, metric) for m in (a, b)]
    for m, cells in zip((a, b), found, strict=True):
        if cells is None:
            return None, f"{m.arm} has no {metric}"
    matrix_a, matrix_b = (np.asarray(cells)[rows] for cells, rows in zip(found, (rows_a, rows_b), strict=True))
    if a.questions != b.questions:
        at = {q: i for i, q in enumerate(b.questions)}
        common = [(i, at[q]) for i, q in enumerate(a.questions) if q in at]
        if not common:
            return None, "the arms share no question"
        matrix_a, matrix_b = matrix_a[:, [i for i, _ in common]], matrix_b[:, [j for _, j in common]]
        remark = "; ".join(filter(None, (remark, f"only the {len(common)} questions that both answered")))
    return statistics.paired_difference(matrix_a, matrix_b, null=margin), remark


def _status(sweep: Sweep, arm: str) -> str:
    states = [run.status for run in sweep.runs if run.arm == arm]
    if not states:
        return f"there is no arm {arm}"
    return f"{arm} has no evaluation ({', '.join(sorted(set(states)))})"


def _margin(claim: dict[str, Any]) -> float:
    return float(claim.get("margin") or 0.0)


def _metric(claim: dict[str, Any]) -> str:
    return str(claim.get("metric") or "accuracy")


def _modes(claim: dict[str, Any]) -> tuple[str, str]:
    mode = str(claim.get("mode") or "cot")
    return mode, str(claim.get("mode_b") or mode)


def _compare_claim(
    sweep: Sweep, claim: dict[str, Any], columns: list[Column], measured: dict[tuple[str, str], Measured]
) -> tuple[statistics.Difference | None, str, tuple[str, str]]:
    modes, sides, nowhere = _modes(claim), [], ("", "")
    for arm, mode in zip((str(claim["a"]), str(claim["b"])), modes, strict=True):
        found = [measured[arm, c.id] for c in columns if c.mode == mode and (arm, c.id) in measured]
        if not found:
            known = any((arm, c.id) in measured for c in columns)
            return None, f"{arm} was not evaluated in mode {mode}" if known else _status(sweep, arm), nowhere
        sides.append(found)
    keys: list[str] = []
    for a, b in product(*sides):
        keys = protocols.apart(a.column.protocol, b.column.protocol, modes[0] != modes[1])
        if not keys:
            difference, remark = compare(a, b, _margin(claim), _metric(claim))
            return difference, remark, (a.column.id, b.column.id)
    return None, f"the two arms were measured under different protocols ({', '.join(keys)})", nowhere


def results(sweep: Sweep) -> Results:
    """Everything measured in a sweep, and the verdict on its claim."""
    columns = _columns(sweep)
    measured = {}
    for column in columns:
        for arm in column.arms:
            found = _measure(sweep, arm, column)
            if found is not None:
                measured[arm, column.id] = found
    claims = [dict(c) for c in sweep.claim.get("comparisons") or ()]
    outcomes = [_compare_claim(sweep, claim, columns, measured) for claim in claims]
    adjusted = iter(statistics.holm([d.p for d, _, _ in outcomes if d is not None]))
    compared = []
    for claim, (difference, remark, found_in) in zip(claims, outcomes, strict=True):
        p_holm = next(adjusted) if difference is not None else None
        expect = str(claim.get("expect") or "a_greater")
        word = verdict.judge(difference, p_holm, expect, _margin(claim))
        compared.append(
            Compared(
                a=str(claim["a"]),
                b=str(claim["b"]),
                modes=_modes(claim),
                metric=_metric(claim),
                expect=expect,
                margin=_margin(claim),
                columns=found_in,
                difference=difference,
                p_holm=p_holm,
                verdict=word,
                remark=remark,
            )
        )
    return Results(
        columns=tuple(columns),
        measured=measured,
        compared=tuple(compared),
        categories=tuple(_categories(measured)),
        verdict=verdict.combine(c.verdict for c in compared),
    )


def _categories(measured: dict[tuple[str, str], Measured]) -> list[CategoryValue]:
    names = sorted({str(s.get("category")) for m in measured.values() for s in m.samples[0].values()})
    values = []
    for category in names:
        for m in measured.values():
            at = [i for i, q in enumerate(m.questions) if str(m.samples[0][q].get("category")) == category]
            if at:
                interval = statistics.accuracy(m.right[:, at], _CATEGORY_RESAMPLES)
                values.append(CategoryValue(m.arm, m.column.id, category, interval))
    return values
