"""What was measured: arms, comparisons, categories, outcomes."""

from __future__ import annotations

from dsm_repro.reporting.accounts import ArmCost
from dsm_repro.reporting.blocks import (
    DASH,
    Cell,
    Figure,
    Section,
    Table,
    Text,
    cells,
    count,
    duration,
    p_value,
    points,
    si,
    spread,
)
from dsm_repro.reporting.measures import Compared, Results, tasks_of
from dsm_repro.reporting.outcomes import outcomes
from dsm_repro.reporting.statistics import Interval
from dsm_repro.reporting.verdict import bounds, minus, signed


def interval_cell(interval: Interval | None) -> Cell:
    if interval is None:
        return Cell(DASH, tone="muted")
    return Cell(
        points(interval.value),
        small=f"[{points(interval.low)}, {points(interval.high)}]",
        bar=interval.value / 100,
        low=interval.low / 100,
        high=interval.high / 100,
    )


def arms(results: Results, costs: list[ArmCost], shared: list[str], figure: bool) -> Section:
    rows = []
    for cost in costs:
        measured = [results.measured.get((cost.arm, c.id)) for c in results.columns]
        found = [m for m in measured if m is not None]
        replicates = str(max((len(m.right) for m in found), default=0))
        if cost.done < cost.runs:
            seeds = Cell(replicates, small=f"{cost.done} of {cost.runs} runs", tone="warn")
        else:
            seeds = Cell(replicates, small="one checkpoint" if cost.runs > 1 and replicates == "1" else "")
        rows.append(
            cells(
                cost.arm,
                *(interval_cell(m.interval if m else None) for m in measured),
                Cell(count(max((len(m.questions) for m in found), default=0))),
                seeds,
                Cell(spread(cost.steps), small=cost.stage),
                Cell(spread(cost.flops, lambda v: si(v, "FLOP"))),
                Cell(spread(cost.total_flops, lambda v: si(v, "FLOP"))),
                Cell(spread(cost.total_seconds, duration)),
            )
        )
    note = (
        "Intervals are 95%: Wilson for one checkpoint, hierarchical bootstrap over seeds × questions for several. "
        "FLOPs and steps are those of the arm's last training stage; “whole” counts every stage it stands on, "
        "also those it shares."
    )
    if shared:
        note += f" All seeds share {', '.join(shared)}: what others of these would give, no interval covers."
    if len({c.mode for c in results.columns}) < len(results.columns):
        note += " Arms measured under different protocols stand in columns of their own, not to be compared."
    table = Table(
        "Accuracy of each arm, %",
        [
            ("Arm", "<"),
            *((f"{c.id}, % correct", ">") for c in results.columns),
            ("Problems", ">"),
            ("Seeds", ">"),
            ("Steps", ">"),
            ("FLOPs", ">"),
            ("FLOPs, whole", ">"),
            ("Time, whole", ">"),
        ],
        rows,
        note,
    )
    alt = "Accuracy of each arm with its 95% interval; the numbers are in the table below."
    plot = [Figure("accuracy.svg", alt, "Accuracy with 95% interval. Ticks are single seeds.")] if figure else []
    return Section("arms", "Arms", [*plot, table])


def comparisons(results: Results) -> Section:
    if not results.compared:
        return Section("comparisons", "Comparisons", [Text("This sweep declares no comparison.", "note")])
    rows = [_comparison(c) for c in results.compared]
    note = (
        "Differences are paired: same questions and, where both arms have it, same seed. "
        "p: of the distribution behind the interval (seeds × questions), or McNemar's exact test where each arm is one "
        "checkpoint. Holm: adjusted over the comparisons of this sweep. p, questions: sign-flip permutation "
        "(or McNemar) with the seeds taken as given. Discordant: answers that only one of the two got right."
    )
    if any(c.metric != "accuracy" for c in results.compared):
        note += " Of maj@K and pass@K, problems on which one of the two scores higher; McNemar is then a sign test."
    columns = [
        ("Comparison", "<"),
        ("Expected", "<"),
        ("Difference, points", ">"),
        ("Verdict", "<"),
        ("p", ">"),
        ("p, Holm", ">"),
        ("p, questions", ">"),
        ("Discordant", ">"),
    ]
    remarks = [f"{minus(c.a, c.b)} ({c.where}): {c.remark}." for c in results.compared if c.remark]
    blocks: list[object] = [Table("Paired comparisons", columns, rows, note)]
    blocks += [Text(remark, "note") for remark in dict.fromkeys(remarks)]
    return Section("comparisons", "Comparisons", blocks)


def _comparison(c: Compared) -> list[Cell]:
    expected = {
        "a_greater": f"{c.a} higher",
        "b_greater": f"{c.b} higher",
        "a_not_greater": f"{c.a} less than {c.margin:g} points higher (p: of that margin)",
    }.get(c.expect, "no expectation")
    d = c.difference
    verdict = Cell(c.verdict, tone=c.verdict)
    if d is None:
        none = Cell(DASH, tone="muted")
        return cells(Cell(minus(c.a, c.b), small=c.where), expected, none, verdict, *([none] * 4))
    return cells(
        Cell(minus(c.a, c.b), small=c.where),
        expected,
        Cell(signed(d.value), small=bounds(d.low, d.high)),
        verdict,
        p_value(d.p),
        p_value(c.p_holm),
        p_value(d.p_questions),
        Cell(count(d.discordant), small=f"{d.only_a} : {d.only_b}"),
    )


def categories(results: Results, figures: list[tuple[str, str]]) -> Section | None:
    """``figures``: (file, column id) of the heat maps."""
    names = sorted({v.category for v in results.categories})
    if not names:
        return None
    tasks = tasks_of(results.measured)
    # a single task is not a part of anything
    kind = "task" if tasks >= set(names) else "category" if len(tasks) == 1 else "task and category"
    kinds = kind.replace("task", "tasks").replace("category", "categories")
    values = {(v.category, v.arm, v.column): v.interval for v in results.categories}
    shown = list(results.measured)
    label = (lambda a, c: a) if len(results.columns) == 1 else (lambda a, c: f"{a}, {c}")
    rows = []
    for name in names:
        n = max(i.questions for (category, _, _), i in values.items() if category == name)
        rows.append(cells(name, count(n), *(interval_cell(values.get((name, a, c))) for a, c in shown)))
    table = Table(
        f"Accuracy by {kind}, %",
        [(kind.capitalize(), "<"), ("Problems", ">"), *((label(a, c), ">") for a, c in shown)],
        rows,
        f"Few problems per {kind}: read the intervals. No correction for the number of {kinds}.",
    )
    plots = [
        Figure(file, f"Accuracy by {kind} and arm, {column}; the numbers are in the table.", f"% correct, {column}.")
        for file, column in figures
    ]
    return Section("categories", f"By {kind}", [*plots, table])


def diagnostics(results: Results) -> Section | None:
    if not results.measured:
        return None
    rows, reasons = [], []
    for (arm, column), m in results.measured.items():
        o = outcomes(m)
        status = [Cell(points(100 * o.status[k])) for k in ("correct", "incorrect", "no_answer")]
        ungradable = 100 * o.status["ungradable"]
        rows.append(
            cells(
                arm,
                column,
                *status,
                Cell(points(ungradable), tone="warn" if ungradable > 5 else ""),
                Cell(points(100 * o.truncated), tone="warn" if o.truncated > 0.05 else ""),
                DASH if o.programs is None else points(100 * o.programs),
                DASH if o.printed is None else points(100 * o.printed),
                points(o.mean_tokens),
            )
        )
        if o.beyond_context:
            told = f"{o.beyond_context} of {o.cells} answers end behind the model's context, and say nothing of it."
            reasons.append(f"{arm}, {column}: {told}")
        reasons += [f"{arm}, {column}: ungradable {n} times: {reason}." for reason, n in o.reasons]
    table = Table(
        "How answers ended, % of all answers",
        [
            ("Arm", "<"),
            ("Mode", "<"),
            ("Correct", ">"),
            ("Incorrect", ">"),
            ("No answer", ">"),
            ("Ungradable", ">"),
            ("Truncated", ">"),
            ("Has a program", ">"),
            ("Program printed", ">"),
            ("Mean tokens", ">"),
        ],
        rows,
        "No answer, ungradable and truncated answers count as wrong. “Program printed” is a share of the programs.",
    )
    return Section("outcomes", "How answers ended", [table, *(Text(r, "note") for r in reasons)])
