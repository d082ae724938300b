"""Released weights measured here, beside what their authors published of them.

A reference ``release.ARM.MODE.TASK`` is set beside the arm of that name; ``release.ARM.TASK`` is its few-shot chain of
thought, and the mode ``program`` the program accuracy of its conversations with the tool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsm_repro.reporting.blocks import Cell, Section, Table, Text, cells, count, points
from dsm_repro.reporting.ledger import Entry, lookup
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.statistics import wilson
from dsm_repro.reporting.verdict import signed


@dataclass(frozen=True)
class Calibrated:
    """One published number, in percent, and ours with its 95% interval."""

    entry: Entry
    arm: str
    mode: str
    n: int
    value: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        return self.low <= self.entry.value <= self.high


def calibrated(sweep: Sweep) -> list[Calibrated]:
    """Every reference of this form whose arm was measured on its task."""
    records = {run.arm: run.evaluation.record for run in sweep.runs if run.evaluation is not None}
    found = []
    for entry in lookup(sweep.claim.get("reference") or ()):
        if not isinstance(entry, Entry) or not entry.id.startswith("release."):
            continue
        _, arm, *mode, task = entry.id.split(".")
        if arm not in records:
            continue
        wanted = mode[0] if mode else "cot"
        measured = _of_task(records[arm], "tool" if wanted == "program" else wanted, task)
        share = measured.get("program_accuracy" if wanted == "program" else "accuracy")
        if share is None:
            continue
        low, high = wilson(share * measured["n"], measured["n"])
        found.append(Calibrated(entry, arm, wanted, measured["n"], 100 * share, 100 * low, 100 * high))
    return found


def _of_task(record: dict[str, Any], mode: str, task: str) -> dict[str, Any]:
    """The figures of one task; of an evaluation of one task they are all of the mode's."""
    result = (record.get("results") or {}).get(mode) or {}
    protocol = (record.get("protocol") or {}).get(mode) or {}
    if protocol.get("task") == task:
        return dict(result)
    return dict((result.get("by_task") or {}).get(task) or {})


def section(sweep: Sweep, banner: str) -> Section | None:
    found = calibrated(sweep)
    if not found:
        return None
    rows = [
        cells(
            c.arm,
            c.mode,
            c.entry.benchmark,
            count(c.n),
            Cell(points(c.value), small=f"[{points(c.low)}, {points(c.high)}]"),
            points(c.entry.value),
            signed(c.value - c.entry.value),
            Cell("yes", tone="good") if c.agrees else Cell("no", tone="bad"),
            Cell(c.entry.id, mono=True),
        )
        for c in found
    ]
    header = [
        ("Arm", "<"),
        ("Mode", "<"),
        ("Benchmark", "<"),
        ("Problems", ">"),
        ("Ours, %", ">"),
        ("Published, %", ">"),
    ]
    header += [("Difference", ">"), ("Within our interval", "<"), ("Id", "<")]
    note = "Intervals are 95%, Wilson's for a binomial share. “program” grades the last output of a program alone."
    blocks: list[object] = [Table("Ours against the release's own figures", header, rows, note)]
    if banner:
        blocks.insert(
            0, Text("The models here are stand-ins: the table shows that it can be made, and nothing else.", "warn")
        )
    return Section("calibration", "Calibration", blocks)
