"""More than one answer: Maj@K and Pass@K of each arm (§5.2.2, Fig. 7)."""

from __future__ import annotations

from collections.abc import Collection

from dsm_repro.reporting.at_k import Line
from dsm_repro.reporting.at_k_plots import figure_name
from dsm_repro.reporting.blocks import DASH, Cell, Figure, Section, Table, Text, cells, points
from dsm_repro.reporting.measures import Results

_WHAT = (
    "Each problem was also answered several times at a temperature. pass@K is the share of problems of which at least "
    "one of K answers is right, maj@K of those of which the answer with the most votes is right; answers that the "
    "grader calls equal vote together, answers that could not be found do not vote, and a tie counts the share of "
    "tied answers that are right. Both are exact expectations over the choice of K from the answers that were drawn."
)
_NOTE = (
    "95% intervals by the hierarchical bootstrap over seeds × problems. At K = 1 both are the mean accuracy of a drawn "
    "answer; where all answers vote, maj@2 is maj@1, since two that differ are a tie. At the largest K there is one "
    "set of answers for each problem, so that the number is no average over sets."
)


def section(lines: list[Line], results: Results, drawn: Collection[str]) -> Section | None:
    """``drawn``: file names of the figures. None where no arm drew answers."""
    if not lines:
        return None
    blocks: list[object] = [Text(_WHAT)]
    for column in results.columns:
        shown = [line for line in lines if line.column == column.id]
        if not shown:
            continue
        blocks.append(Text(f"{column.id}: {column.protocol.get('sampled', 'several answers')} for each problem."))
        name = f"{figure_name(column.id)}.svg"
        if name in drawn:
            alt = f"maj@K and pass@K against K, one line for each arm, {column.id}; the numbers are in the table below."
            caption = f"maj@K and pass@K over K (logarithmic), {column.id}; the bands are 95% intervals."
            blocks.append(Figure(name, alt, caption))
        blocks.append(_table(shown, column.id))
    return Section("at-k", "More than one answer", blocks)


def _table(shown: list[Line], column: str) -> Table:
    ordered = sorted(shown, key=lambda line: line.kind)
    rows = []
    for k in sorted({k for line in shown for k in line.ks}):
        at = [dict(zip(line.ks, line.intervals, strict=True)).get(k) for line in ordered]
        values = (Cell(points(i.value), small=f"[{points(i.low)}, {points(i.high)}]") if i else DASH for i in at)
        rows.append(cells(str(k), *values))
    columns = [("K", ">"), *((f"{line.kind}@K, {line.arm}", ">") for line in ordered)]
    return Table(f"maj@K and pass@K, %, {column}", columns, rows, _NOTE)
