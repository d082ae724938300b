"""The heat map of categories and arms, written as SVG text: hundreds of cells cost a plotting library a second."""

from __future__ import annotations

import html
from collections.abc import Sequence

from dsm_repro.reporting.measures import Results
from dsm_repro.reporting.plots import slug

_CELL_WIDTH, _CELL_HEIGHT, _LINE = 92, 30, 13
_CHARACTER = 7.2
#: matplotlib's cividis at nine even steps: told apart by any colour vision, and in grey
_PALETTE = (
    (0, 34, 78), (26, 56, 111), (67, 78, 108), (97, 101, 111), (125, 124, 120), (155, 148, 118), (188, 174, 108),
    (222, 201, 88), (254, 232, 56),
)  # fmt: skip


def heat_name(column: str) -> str:
    """Without its ending."""
    return f"heat-{slug(column)}"


def heat_map(results: Results, arms: Sequence[str], column: str) -> str:
    """Accuracy by category and arm; each cell prints its number, so colour is never the only carrier.

    The longer of the two lists runs down the page.
    """
    values = {(v.category, v.arm): v.interval.value for v in results.categories if v.column == column}
    categories = sorted({category for category, _ in values})
    shown = [arm for arm in arms if any((c, arm) in values for c in categories)]
    if len(shown) > len(categories):
        return _drawn(shown, categories, {(arm, c): value for (c, arm), value in values.items()})
    return _drawn(categories, shown, values)


def _drawn(rows: Sequence[str], columns: Sequence[str], values: dict[tuple[str, str], float]) -> str:
    low, high = min(values.values()), max(values.values())
    # at least 20 points wide, so that small differences do not look like large ones
    middle, half = (low + high) / 2, max(10.0, (high - low) / 2)
    left = round(20 + _CHARACTER * max(len(row) for row in rows))
    heads = [_wrapped(column) for column in columns]
    top = 10 + _LINE * max(len(lines) for lines in heads)
    width, height = left + _CELL_WIDTH * len(columns) + 8, top + _CELL_HEIGHT * len(rows) + 8
    parts = []
    for x, lines in enumerate(heads):
        middle_x = left + _CELL_WIDTH * (x + 0.5)
        for i, line in enumerate(lines):
            y = top - 8 - _LINE * (len(lines) - 1 - i)
            parts.append(f'<text x="{middle_x:g}" y="{y}" text-anchor="middle">{html.escape(line)}</text>')
    for y, row in enumerate(rows):
        edge = top + _CELL_HEIGHT * y
        parts.append(f'<text x="{left - 10}" y="{edge + 20}" text-anchor="end">{html.escape(row)}</text>')
        for x, column in enumerate(columns):
            value = values.get((row, column))
            if value is None:
                continue
            level = (value - middle + half) / (2 * half)
            colour, at = _colour(level), left + _CELL_WIDTH * x
            ink = "#ffffff" if level < 0.55 else "#111111"
            parts.append(
                f'<rect x="{at + 1}" y="{edge + 1}" width="{_CELL_WIDTH - 2}" height="{_CELL_HEIGHT - 2}" rx="2" '
                f'fill="{colour}"/><text x="{at + _CELL_WIDTH // 2}" y="{edge + 20}" text-anchor="middle" '
                f'fill="{ink}">{value:.0f}</text>'
            )
    return (
        f'<svg class="heat" xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Arial, Helvetica, sans-serif" font-size="13" '
        f'fill="currentColor">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _wrapped(text: str, longest: int = 12) -> list[str]:
    """Words in lines of at most ``longest`` characters, where the words are shorter."""
    lines: list[str] = []
    for word in text.split() or [""]:
        if lines and len(lines[-1]) + 1 + len(word) <= longest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _colour(level: float) -> str:
    """The palette at ``level`` in [0, 1], linear between its steps."""
    position = min(max(level, 0.0), 1.0) * (len(_PALETTE) - 1)
    step = min(int(position), len(_PALETTE) - 2)
    share = position - step
    mixed = (round(a + share * (b - a)) for a, b in zip(_PALETTE[step], _PALETTE[step + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
