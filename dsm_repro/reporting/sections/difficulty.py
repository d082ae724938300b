"""How hard the questions of reinforcement learning were for the model that it started from, and which it explored."""

from __future__ import annotations

from collections.abc import Sequence

from dsm_repro.reporting.accounts import stage_artifacts
from dsm_repro.reporting.blocks import DASH, Cell, Table, cells, count, points, si
from dsm_repro.reporting.deviations import show
from dsm_repro.reporting.records import Artifact, Run, Sweep
from dsm_repro.reporting.values import mapping, number

_NOTE = (
    "Pass@1: share of all answers that are right, drawn as the rollouts are. Never and always: questions none or all "
    "of whose answers were right, so that a group of them has no advantages. Explored are those in the band. Their "
    "share of right answers is higher or lower than another draw would give, because they were chosen by it."
)


def table(sweep: Sweep) -> Table | None:
    """One row for every choice of questions; None where all were explored."""
    arms: dict[tuple[str, str], list[str]] = {}
    found: dict[tuple[str, str], tuple[Run, Artifact]] = {}
    for run, artifact in stage_artifacts(sweep, "difficulty"):
        # one measurement serves bands of several widths
        row = artifact.key, _band(run)
        arms.setdefault(row, []).append(f"{run.arm}#{run.seed}")
        found[row] = run, artifact
    if not found:
        return None
    columns = [
        ("Arms", "<"), ("Tried", ">"), ("Answers each", ">"), ("Pass@1, %", ">"), ("Never, %", ">"), ("Always, %", ">"),
        ("Band, %", ">"), ("In the band", ">"), ("Explored", ">"), ("FLOPs", ">"),
    ]  # fmt: skip
    rows = [_row(list(dict.fromkeys(arms[row])), run, artifact) for row, (run, artifact) in found.items()]
    return Table("Questions chosen by how often they are solved", columns, rows, _NOTE)


def _band(run: Run) -> str:
    part = mapping(run.config.get("difficulty"))
    low, high = number(part.get("at_least")), number(part.get("at_most"))
    return DASH if low is None or high is None else f"{show(100 * low)}–{show(100 * high)}"


def _row(arms: Sequence[str], run: Run, artifact: Artifact) -> list[Cell]:
    record, part = artifact.record, mapping(run.config.get("difficulty"))
    by_right = [int(value) for value in record.get("by_right") or ()]
    tried, samples = sum(by_right), max(len(by_right) - 1, 1)
    low, high = number(part.get("at_least")), number(part.get("at_most"))
    within: int | None = None
    if low is not None and high is not None and tried:
        within = sum(n for right, n in enumerate(by_right) if low <= right / samples <= high)
    rl = run.artifacts.get("rl")
    pass_rate = number(record.get("pass_rate"))
    return cells(
        ", ".join(arms),
        count(number(record.get("questions"))),
        count(number(record.get("samples"))),
        DASH if pass_rate is None else points(100 * pass_rate),
        points(100 * by_right[0] / tried) if tried else DASH,
        points(100 * by_right[-1] / tried) if tried else DASH,
        _band(run),
        count(within),
        count(number(rl.record.get("questions")) if rl is not None else None),
        si(artifact.flops, "FLOP"),
    )
