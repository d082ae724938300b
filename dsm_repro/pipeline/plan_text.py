"""A plan as rich tables and lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.pipeline.detectable import sentences
from dsm_repro.pipeline.plan import Plan, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

#: narrower output (a pipe has no width) would fold the table beyond reading
TABLE_WIDTH = 110


def amount(value: float, unit: str = "") -> str:
    """A large number to three figures: ``1.25G``; nothing for zero."""
    if value == 0:
        return "-"
    for scale, prefix in ((1e24, "Y"), (1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= 0.9995 * scale:
            return f"{value / scale:.3g}{prefix}{unit}"
    return f"{value / 1e3:.3g}k{unit}" if abs(value) >= 1e3 else f"{value:.3g}{unit}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def render(plan: Plan, store_root: Path, memory: bool = False) -> list[RenderableType]:
    """The plan as rich tables and lines; ``memory``: also of what each stage's peak consists."""
    from rich.table import Table

    table = Table(title=f"{plan.name} · scale={plan.scale}", title_justify="left")
    for name in ("stage", "key", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("used by", overflow="fold")
    for name in ("tokens", "FLOPs", "time", "disk", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    runs = len({arm for row in plan.rows for arm in row.arms})
    for row in plan.rows:
        used = f"all {runs} runs" if len(row.arms) == runs > 1 else ", ".join(row.arms)
        state = "[green]done[/]" if row.hit else "to do"
        costs = (amount(row.tokens), amount(row.flops), duration(row.seconds))
        peak = f"[red]{amount(row.memory_bytes, 'B')} ![/]" if row.misfit else amount(row.memory_bytes, "B")
        table.add_row(row.stage, row.key[:8], state, used, *costs, amount(row.disk_bytes, "B"), peak)
    lines: list[RenderableType] = [table]
    if memory:
        lines.append(_memory_table(plan.rows))
    if plan.to_do:
        rests = sorted({row.basis for row in plan.rows if not row.hit})
        lines.append(
            f"To do: {plan.to_do} of {plan.unique} stages, about {duration(plan.seconds)} with {plan.workers} at once, "
            f"{amount(plan.flops)} FLOPs, {amount(plan.disk_bytes, 'B')} on disk. Times rest on: {'; '.join(rests)}."
        )
        lines.append(_memory(plan))
        lines.extend(f"Does not fit: {misfit}" for misfit in plan.misfits)
    else:
        lines.append(f"All {plan.unique} stages are in {store_root}: running this only renders the report.")
    lines.append(f"Separate runs would execute {plan.separate} stages; {plan.unique} are unique.")
    lines.extend(sentences(plan.detectable))
    for names in plan.same:
        lines.append(
            f"Arms {', '.join(names[:-1])} and {names[-1]} are one run: what differs between them has no effect here."
        )
    for note in dict.fromkeys(f"{row.stage}: {note}" for row in plan.rows for note in row.notes):
        lines.append(f"Note, {note}")
    lines.extend(f"Caveat: {caveat}" for caveat in plan.caveats)
    lines.extend(f"Missing here, needed to run: {message}" for message in plan.missing)
    return lines


def _memory(plan: Plan) -> str:
    """What the peak is, beside what there is."""
    needed = amount(plan.memory_bytes, "B")
    name = "the GPU" if plan.device_name == "GPU" else plan.device_name
    available = f"memory of {name} unknown (set execution.hardware.memory_bytes), so nothing is refused"
    if plan.device_bytes is not None:
        available = f"{plan.device_name} has {amount(plan.device_bytes, 'B')}"
    if plan.device == "cpu":
        return f"Memory: at most {needed} with {plan.workers} at once; {available}."
    hours = f" {gpu_hours(plan.gpu_hours)}." if plan.gpu_hours else ""
    return f"Memory: at most {needed} on a device; {available}.{hours}"


def gpu_hours(hours: float) -> str:
    """With a decimal while it tells something: a plan of minutes is not free."""
    if hours < 0.05:
        return "Less than 0.1 GPU-hours"
    return f"{hours:,.0f} GPU-hours" if hours >= 10 else f"{hours:.1f} GPU-hours"


def _memory_table(rows: list[Row]) -> RenderableType:
    """The parts of each peak; stages that need the same are one line."""
    from rich.table import Table

    table = Table(title="Memory at the peak, of one device", title_justify="left")
    table.add_column("stage", no_wrap=True)
    table.add_column("when")
    table.add_column("in all", justify="right", no_wrap=True)
    table.add_column("parts", overflow="fold")
    seen = dict.fromkeys(
        (row.stage, row.phase, row.memory_bytes, tuple(row.parts.items())) for row in rows if row.parts
    )
    for stage, phase, total, parts in seen:
        listed = ", ".join(f"{name.replace('_', ' ')} {amount(size, 'B')}" for name, size in parts)
        table.add_row(stage, phase, amount(total, "B"), listed)
    return table
