"""At equal compute: accuracy along the way, and each arm where all had spent the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsm_repro.reporting.blocks import DASH, Cell, Figure, Section, Table, Text, cells, duration, points, si
from dsm_repro.reporting.curve_plots import figure_name
from dsm_repro.reporting.curves import AXES, AtEqual, Traced, at_equal, traced
from dsm_repro.reporting.measures import Results
from dsm_repro.reporting.records import Sweep

_NOTE = (
    "Spent counts the stage rl alone, from its start. Between two evaluated models accuracy is interpolated linearly; "
    "intervals are 95%, over seeds and problems. Tokens and FLOPs do not depend on the machine. Seconds do, and on "
    "what else it did at the time: arms that ran side by side slow one another down."
)


def section(sweep: Sweep, found: Results, drawn: Mapping[str, str]) -> Section | None:
    """None where no arm was evaluated along its way."""
    blocks: list[object] = []
    for column in found.columns:
        runs = traced(sweep, column)
        if not runs:
            continue
        name = f"{figure_name(column.id)}.svg"
        compared = [at for axis in AXES if (at := at_equal(runs, axis)) is not None]
        if name in drawn:
            blocks.append(Figure(name, _alternative(column.id, compared), _caption(column.id, runs)))
        if compared:
            blocks.append(_table(sweep, column.id, runs, compared))
        without = [arm for arm in _trained(sweep) if arm in column.arms and arm not in {one.arm for one in runs}]
        if without:
            blocks.append(Text(f"Without a curve in {column.id}: {', '.join(without)}.", tone="note"))
    return Section("equal-compute", "At equal compute", blocks) if blocks else None


def _trained(sweep: Sweep) -> list[str]:
    """Arms that have a stage rl."""
    return [arm for arm in sweep.arms if any(run.arm == arm and "rl" in run.keys for run in sweep.runs)]


def amount_text(axis: str, amount: float) -> str:
    """4.1 MFLOP, 31.2 k tokens, 2 min 05 s."""
    if axis == "seconds":
        return duration(amount)
    return si(amount, "FLOP") if axis == "flops" else f"{si(amount)} tokens"


def _alternative(column: str, compared: Sequence[AtEqual]) -> str:
    text = f"Accuracy in {column} over generated tokens, FLOPs and seconds of the stage rl, one line per arm."
    for at in compared:
        values = ", ".join(f"{arm} {points(i.value)}" for arm, i in at.intervals.items())
        text += f" At {amount_text(at.axis, at.amount)}: {values}."
    return text


def _caption(column: str, runs: Sequence[Traced]) -> str:
    models = sorted({len(one.right) for one in runs})
    several = f"{models[0]}" if len(models) == 1 else f"{models[0]} to {models[-1]}"
    return (
        f"Accuracy in {column} along the stage rl: {several} models of each run, the start among them, on "
        f"{len(runs[0].questions)} problems. Lines are means over seeds, bands reach from the lowest to the highest."
    )


def _table(sweep: Sweep, column: str, runs: Sequence[Traced], compared: Sequence[AtEqual]) -> Table:
    rows = []
    for arm in sweep.arms:
        seeds = sum(one.arm == arm for one in runs)
        if seeds:
            rows.append(cells(arm, *(_at(at, arm) for at in compared), str(seeds)))
    columns = [("Arm", "<"), *((f"at {amount_text(at.axis, at.amount)}", ">") for at in compared), ("Seeds", ">")]
    caption = f"Accuracy, %, in {column} at the largest amount that every arm reached"
    return Table(caption, columns, rows, _NOTE)


def _at(at: AtEqual, arm: str) -> Cell:
    interval = at.intervals.get(arm)
    if interval is None:
        return Cell(DASH, tone="muted")
    return Cell(points(interval.value), small=f"[{points(interval.low)}, {points(interval.high)}]")
