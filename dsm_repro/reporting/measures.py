"""From samples to numbers: accuracies, paired comparisons, categories, under the protocol guard.

A *column* is an evaluation mode under one protocol. Two arms whose protocols differ in anything (prompt,
shots, decoding, length, extractor, grader, sandbox, problems) never share a column. See ``protocols.py``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from dsm_repro.config.resolve import TRAINING_STAGES
from dsm_repro.reporting import at_k, protocols, statistics, verdict
from dsm_repro.reporting.comparing import Compared, Outcome, compare, judged, margin_of, metric_of, modes_of
from dsm_repro.reporting.records import Artifact, Sweep

#: stages whose result another seed would change
TRAINING = frozenset({*TRAINING_STAGES, "reward_model"})
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
    #: of each row the key of the model that answered: rows of one key are one training, evaluated several times
    models: tuple[str, ...]
    #: votes of the drawn answers, aligned with ``samples``; empty where none were drawn
    votes: at_k.Votes = ()


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


def _evaluations(sweep: Sweep, arm: str) -> dict[str, tuple[Artifact, str, list[int]]]:
    """The arm's distinct evaluations: key -> (artifact, key of the model, seeds that share it)."""
    found: dict[str, tuple[Artifact, str, list[int]]] = {}
    for run in sweep.runs:
        artifact = run.evaluation
        if run.arm == arm and artifact is not None:
            found.setdefault(artifact.key, (artifact, run.model, []))[2].append(run.seed)
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
            # what was not written down cannot be known to be the same
            text = json.dumps(protocol, sort_keys=True) if protocol else f"not recorded: {run.arm}"
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
    models: list[str] = []
    for artifact, model, shared in _evaluations(sweep, arm).values():
        protocol = (artifact.record.get("protocol") or {}).get(column.mode) or {}
        if protocol != column.protocol:
            continue
        samples = {question_id(s): s for s in artifact.samples if s.get("mode") == column.mode}
        if samples:
            rows.append(samples)
            votes.append({question_id(v): v for v in artifact.at_k if v.get("mode") == column.mode})
            seeds.append(tuple(shared))
            models.append(model)
    if not rows:
        return None
    questions = tuple(q for q in rows[0] if all(q in row for row in rows))
    if not questions:
        return None
    right = np.array([[bool(row[q]["correct"]) for q in questions] for row in rows], dtype=np.float64)
    return Measured(
        arm, column, tuple(seeds), questions, right, statistics.accuracy(right), tuple(rows), tuple(models), tuple(votes)
    )


def _status(sweep: Sweep, arm: str) -> str:
    states = [run.status for run in sweep.runs if run.arm == arm]
    if not states:
        return f"there is no arm {arm}"
    return f"{arm} has no evaluation ({', '.join(sorted(set(states)))})"


def _compare_claim(
    sweep: Sweep, claim: dict[str, Any], columns: list[Column], measured: dict[tuple[str, str], Measured]
) -> Outcome:
    modes, sides = modes_of(claim), []
    for arm, mode in zip((str(claim["a"]), str(claim["b"])), modes, strict=True):
        found = [measured[arm, c.id] for c in columns if c.mode == mode and (arm, c.id) in measured]
        if not found:
            known = any((arm, c.id) in measured for c in columns)
            return Outcome(None, f"{arm} was not evaluated in mode {mode}" if known else _status(sweep, arm))
        sides.append(found)
    keys: list[str] = []
    for a, b in product(*sides):
        keys = protocols.apart(a.column.protocol, b.column.protocol, modes[0] != modes[1])
        if not keys:
            return compare(a, b, margin_of(claim), metric_of(claim))
    return Outcome(None, f"the two arms were measured under different protocols ({', '.join(keys)})")


def _untrained(sweep: Sweep) -> frozenset[str]:
    """Arms none of whose runs trained anything: published weights, evaluated as they are."""
    trained = {run.arm for run in sweep.runs if TRAINING & run.keys.keys()}
    return frozenset(sweep.arms) - trained


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
    compared = judged(claims, outcomes, untrained=_untrained(sweep))
    return Results(
        columns=tuple(columns),
        measured=measured,
        compared=compared,
        categories=tuple(_categories(measured)),
        verdict=verdict.combine(c.verdict for c in compared),
    )


def tasks_of(measured: dict[tuple[str, str], Measured]) -> set[str]:
    return {str(s.get("task", "")) for m in measured.values() for s in m.samples[0].values()}


def _categories(measured: dict[tuple[str, str], Measured]) -> list[CategoryValue]:
    """By category; where several tasks are asked by task, and by category within each."""
    several = len(tasks_of(measured)) > 1
    values = []
    for m in measured.values():
        members: dict[str, list[int]] = defaultdict(list)
        for i, q in enumerate(m.questions):
            for name in _parts(m.samples[0][q], several):
                members[name].append(i)
        for name, at in members.items():
            interval = statistics.accuracy(m.right[:, at], _CATEGORY_RESAMPLES)
            values.append(CategoryValue(m.arm, m.column.id, name, interval))
    return sorted(values, key=lambda v: v.category)


def _parts(sample: dict[str, Any], several: bool) -> list[str]:
    task, category = str(sample.get("task", "")), str(sample.get("category"))
    if not several:
        return [category]
    return [task] if category == "all" else [task, f"{task}: {category}"]
