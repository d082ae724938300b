"""What a page consists of: sections of blocks, rendered alike to HTML and to Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dsm_repro.reporting.values import tenths

DASH = "\N{EM DASH}"


@dataclass(frozen=True)
class Cell:
    """A table cell. ``tone``: good | warn | bad | muted | a verdict's word. ``bar`` draws the value as a share."""

    text: str
    #: printed smaller behind the text: an interval, a unit
    small: str = ""
    tone: str = ""
    bar: float | None = None
    #: interval of the bar, as shares
    low: float | None = None
    high: float | None = None
    mono: bool = False


@dataclass(frozen=True)
class Table:
    caption: str
    #: header, and ">" for columns of numbers, "<" for text
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Text:
    text: str
    #: plain | note | warn
    tone: str = "plain"
    kind: str = "text"


@dataclass(frozen=True)
class Figure:
    """An SVG of this page's folder, with the text a screen reader gets."""

    name: str
    alt: str
    caption: str
    kind: str = "figure"


@dataclass(frozen=True)
class Fold:
    """Folded away until asked for: code, a traceback, or further blocks."""

    summary: str
    code: str = ""
    blocks: Sequence[object] = ()
    kind: str = "fold"


@dataclass(frozen=True)
class Code:
    code: str
    kind: str = "code"


@dataclass(frozen=True)
class Explorer:
    """Answers to look through; where no script runs, and in Markdown, ``fallback`` stands in its place."""

    #: JSON, escaped for a script element
    data: str
    note: str
    fallback: Sequence[object] = ()
    kind: str = "explorer"


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    blocks: Sequence[object]


@dataclass(frozen=True)
class Finding:
    """One comparison in the verdict card."""

    verdict: str
    sentence: str
    detail: str = ""


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    scale: str
    #: warning about the scale, empty where the run is of the paper's size
    banner: str
    statement: str
    verdict: str
    verdict_text: str
    findings: Sequence[Finding]
    sections: Sequence[Section]
    caveats: Sequence[str] = field(default_factory=tuple)


def cells(*values: object) -> list[Cell]:
    """A row: cells as they are, everything else as text."""
    return [value if isinstance(value, Cell) else Cell(str(value)) for value in values]


def count(value: float | int | None) -> str:
    """12345 -> 12,345."""
    return DASH if value is None else f"{value:,.0f}"


def si(value: float | None, unit: str = "") -> str:
    """1.234e13, "FLOP" -> 12.3 TFLOP."""
    if value is None:
        return DASH
    if value == 0:
        return f"0 {unit}".strip()
    for power, prefix in ((24, "Y"), (21, "Z"), (18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 0.9995 * 10**power:
            return f"{value / 10**power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".strip()


def duration(seconds: float | None) -> str:
    """75 -> 1 min 15 s."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def points(value: float) -> str:
    return f"{tenths(value):.1f}"


def p_value(value: float | None) -> str:
    if value is None or value != value:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def spread(values: Sequence[float], show: object = None) -> str:
    """One value, or "lowest-highest" where they differ."""
    if not values:
        return DASH
    text = show if callable(show) else count
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low}\N{EN DASH}{high}"
