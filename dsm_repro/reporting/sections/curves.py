"""At equal compute: accuracy along the way, and each arm where all had spent the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dsm_repro.reporting.blocks import DASH, Cell, Figure, Section, Table, Text, cells, duration, points, si
from dsm_repro.reporting.comparing import metric_of, modes_of
from dsm_repro.reporting.curve_plots import figure_name
from dsm_repro.reporting.curves import AXES, MOST_UNEVEN, AtEqual, Traced, at_equal, traced, uneven
from dsm_repro.reporting.measures import Column, Results
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.statistics import Interval
from dsm_repro.reporting.verdict import signed

_NOTE = (
    "Spent counts the stage rl alone, from its start. Between two evaluated models accuracy is interpolated linearly; "
    "intervals are 95%, over seeds and problems. Tokens and FLOPs do not depend on the machine. Seconds do, and on "
    "what else it did at the time: arms that ran side by side slow one another down. Differences are paired, by "
    "problem and by seed, and no part of the verdict."
)
#: why there is no column of seconds
_LOAD = (
    "Nothing is compared at equal seconds: seeds of one arm ({}) differ by more than {:g} times in seconds for the "
    "same FLOPs, which is what else the machine did."
)


def section(sweep: Sweep, found: Results, drawn: Mapping[str, str]) -> Section | None:
    """None where no arm was evaluated along its way."""
    blocks: list[object] = []
    for column in found.columns:
        runs = traced(sweep, column)
        if not runs:
            continue
        name = f"{figure_name(column.id)}.svg"
        compared = at_equal_of(sweep, column, runs)
        if name in drawn:
            blocks.append(Figure(name, _alternative(column.id, compared), _caption(column.id, runs)))
        if compared:
            blocks.append(_table(sweep, column.id, compared))
            if late := uneven(runs):
                blocks.append(Text(_LOAD.format(", ".join(late), MOST_UNEVEN), tone="note"))
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


def at_equal_of(sweep: Sweep, column: Column, runs: Sequence[Traced]) -> list[AtEqual]:
    """The arms on every axis that they can be set equal on, with the claim's own comparisons."""
    pairs = [
        (str(claim["a"]), str(claim["b"]))
        for claim in sweep.claim.get("comparisons") or ()
        if modes_of(claim) == (column.mode, column.mode) and metric_of(claim) == "accuracy"
    ]
    return [at for axis in AXES if (at := at_equal(runs, axis, pairs)) is not None]


def _table(sweep: Sweep, column: str, compared: Sequence[AtEqual]) -> Table:
    rows = [
        cells(arm, *(_at(at.intervals.get(arm)) for at in compared), _seeds([at.intervals.get(arm) for at in compared]))
        for arm in sweep.arms
        if any(arm in at.intervals for at in compared)
    ]
    for pair in dict.fromkeys(pair for at in compared for pair in at.differences):
        found = [at.differences.get(pair) for at in compared]
        rows.append(cells(pair, *(_at(one, signed) for one in found), _seeds(found)))
    columns = [("Arm", "<"), *((f"at {amount_text(at.axis, at.amount)}", ">") for at in compared), ("Seeds", ">")]
    caption = f"Accuracy, %, in {column} at the largest amount that every arm reached"
    return Table(caption, columns, rows, _NOTE)


def _seeds(found: Sequence[Interval | None]) -> str:
    """How many seeds stand behind a row: one number, or one for each column where they differ."""
    counts = [str(one.replicates) if one else DASH for one in found]
    return counts[0] if len(set(counts)) == 1 else ", ".join(counts)


def _at(found: Interval | None, shown: Callable[[float], str] = points) -> Cell:
    if found is None:
        return Cell(DASH, tone="muted")
    low, high = (shown(end).lstrip("+") for end in (found.low, found.high))
    return Cell(shown(found.value), small=f"[{low}, {high}]")
