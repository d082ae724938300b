"""The CSV files beside a page: full precision, for further use."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from dsm_repro.config.resolve import TRAINING_STAGES
from dsm_repro.reporting.accounts import arm_costs, distinct_artifacts, metric_lines
from dsm_repro.reporting.measures import Results
from dsm_repro.reporting.records import Sweep


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_plain(v) for v in row] for row in rows])
    return out.getvalue()


def _plain(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else value


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def arms_csv(sweep: Sweep, results: Results) -> str:
    """One row per arm and column; an arm without a result has one row with its status."""
    header = [
        "arm", "mode", "accuracy", "low", "high", "problems", "replicates", "runs", "runs_done", "stage", "steps",
        "stage_flops", "total_flops", "total_seconds",
    ]  # fmt: skip
    rows: list[Sequence[object]] = []
    for cost in arm_costs(sweep):
        tail = (
            cost.runs,
            cost.done,
            cost.stage,
            _mean(cost.steps),
            _mean(cost.flops),
            _mean(cost.total_flops),
            _mean(cost.total_seconds),
        )
        columns = [c for c in results.columns if (cost.arm, c.id) in results.measured]
        for column in columns:
            i = results.measured[cost.arm, column.id].interval
            rows.append((cost.arm, column.id, i.value, i.low, i.high, i.questions, i.replicates, *tail))
        if not columns:
            rows.append((cost.arm, None, None, None, None, None, 0, *tail))
    return _csv(header, rows)


def comparisons_csv(results: Results) -> str:
    header = [
        "a", "b", "mode", "metric", "expect", "difference", "low", "high", "p", "p_holm", "p_questions", "only_a",
        "only_b", "replicates", "problems", "verdict", "remark",
    ]  # fmt: skip
    rows: list[Sequence[object]] = []
    for c in results.compared:
        d = c.difference
        numbers: Sequence[object] = (None,) * 10
        if d is not None:
            numbers = (
                d.value, d.low, d.high, d.p, c.p_holm, d.p_questions, d.only_a, d.only_b, d.replicates, d.questions,
            )  # fmt: skip
        rows.append((c.a, c.b, c.column, c.metric, c.expect, *numbers, c.verdict, c.remark))
    return _csv(header, rows)


def categories_csv(results: Results) -> str:
    header = ["arm", "mode", "category", "accuracy", "low", "high", "problems", "replicates"]
    return _csv(
        header,
        (
            (v.arm, v.column, v.category, i.value, i.low, i.high, i.questions, i.replicates)
            for v in results.categories
            for i in (v.interval,)
        ),
    )


#: of metrics.jsonl, what the curves of a page are drawn from
_CURVE_VALUES = ("loss", "reward_mean", "completion_length", "kl")


def curves_csv(sweep: Sweep) -> str:
    """Every line of a training stage's metrics once, with what had been spent by then; arms that share it joined."""
    header = ["stage", "arms", "seed", "step", "tokens", "flops", "seconds", *_CURVE_VALUES]
    rows: list[Sequence[object]] = []
    for stage in TRAINING_STAGES:
        for artifact, arms, seed in distinct_artifacts(sweep, stage):
            said = (stage, "; ".join(arms), seed)
            rows += [(*said, *(line.get(k) for k in header[3:])) for line in metric_lines(artifact)]
    return _csv(header, rows)


def answers_csv(results: Results) -> str:
    """One row per problem and mode, one column per arm and first seed of a replicate: how each answer ended."""
    voices = [
        (m.column.id, f"{m.arm}, seed {seeds[0]}", row)
        for m in results.measured.values()
        for seeds, row in zip(m.seeds, m.samples, strict=True)
    ]
    names = list(dict.fromkeys(name for _, name, _ in voices))
    rows: list[Sequence[object]] = []
    for column in results.columns:
        of_column = {name: row for mode, name, row in voices if mode == column.id}
        asked = {q: sample for row in reversed(of_column.values()) for q, sample in row.items()}
        for q in sorted(asked):
            ended = (of_column.get(name, {}).get(q, {}).get("status") for name in names)
            rows.append((column.id, q, str(asked[q].get("category")), *ended))
    return _csv(["mode", "problem", "category", *names], rows)
