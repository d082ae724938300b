"""Small forest bars on one scale, written as SVG text: for the front page, and as a figure for Markdown."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dsm_repro.reporting import verdict
from dsm_repro.reporting.plots import VERDICT_COLOURS

WIDTH, HEIGHT = 240, 22
_PAD = 8
_EXTENTS = (5, 10, 15, 20, 30, 40, 50, 75, 100)
#: share of the intervals that are drawn whole, if need be: a few wide ones would make all others small
_WHOLE = 0.8


@dataclass(frozen=True)
class Effect:
    """A paired difference in points, with its 95% interval."""

    label: str
    value: float
    low: float
    high: float
    verdict: str
    #: what the interval is to exclude: a declared margin, or 0
    border: float = 0.0

    @property
    def text(self) -> str:
        return f"{verdict.signed(self.value)} {verdict.bounds(self.low, self.high)}"


def extent(effects: Sequence[Effect]) -> int:
    """Points to either side of 0 that hold every difference and most of the intervals whole: a round number."""
    if not effects:
        return _EXTENTS[0]
    ends = sorted(max(abs(e.low), abs(e.high)) for e in effects)
    widest = max(ends[math.ceil(_WHOLE * len(ends)) - 1], *(abs(e.value) for e in effects))
    return next((e for e in _EXTENTS if e >= widest), 100)


def _x(points: float, reach: float) -> float:
    return round(WIDTH / 2 + points / reach * (WIDTH / 2 - _PAD), 1)


def _marker(word: str, x: float, y: float) -> str:
    """One shape for each verdict, so that colour is never the only carrier."""
    if word == verdict.REPRODUCED:
        return f'<circle cx="{x}" cy="{y}" r="5"/>'
    corners = {
        verdict.DIRECTION_ONLY: ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
        verdict.INCONCLUSIVE: ((0, -6), (6, 0), (0, 6), (-6, 0)),
        verdict.CONTRADICTED: ((0, -6), (5.5, 4.5), (-5.5, 4.5)),
    }.get(word, ((0, 6), (5.5, -4.5), (-5.5, -4.5)))
    return f'<polygon points="{" ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in corners)}"/>'


def _drawn(effect: Effect, reach: float, y: float) -> str:
    """The interval, with an arrow where it goes on beyond the scale, and the marker of the difference."""
    low, high = _x(max(effect.low, -reach), reach), _x(min(effect.high, reach), reach)
    ends = ((-1, low, effect.low < -reach), (1, high, effect.high > reach))
    arrows = "".join(
        f'<polygon points="{x + 7 * side:g},{y:g} {x:g},{y - 4.5:g} {x:g},{y + 4.5:g}"/>'
        for side, x, cut in ends
        if cut
    )
    margin = _x(effect.border, reach)
    tick = f'<line x1="{margin}" y1="{y - 8:g}" x2="{margin}" y2="{y + 8:g}" stroke-dasharray="2.5 2"/>'
    return (
        f'<line x1="{low}" y1="{y:g}" x2="{high}" y2="{y:g}" stroke-width="3.5" stroke-linecap="round"/>{arrows}'
        f"{tick if 0 < abs(effect.border) <= reach else ''}"
        f"{_marker(effect.verdict, _x(effect.value, reach), y)}"
    )


def bar(effect: Effect, reach: float) -> str:
    """One effect as an SVG to stand in a line of text; its numbers stand beside it, so it is hidden from readers."""
    middle = WIDTH / 2
    return (
        f'<svg class="effect" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" focusable="false">'
        f'<line class="base" x1="{_PAD}" y1="{HEIGHT / 2:g}" x2="{WIDTH - _PAD}" y2="{HEIGHT / 2:g}"/>'
        f'<line class="zero" x1="{middle:g}" y1="1" x2="{middle:g}" y2="{HEIGHT - 1}"/>'
        f"{_drawn(effect, reach, HEIGHT / 2)}</svg>"
    )


def figure(groups: Sequence[tuple[str, Sequence[Effect]]]) -> str:
    """All claims in one SVG file: a heading for each claim, its effects below, one scale for all."""
    reach = extent([e for _, effects in groups for e in effects])
    left, right, row = 350, 300, 24
    rows: list[str] = []
    y = 30.0
    ticks = (-reach, -reach / 2, 0, reach / 2, reach)
    for title, effects in groups:
        rows.append(f'<text x="12" y="{y + 4:g}" font-weight="600">{html.escape(title)}</text>')
        y += row
        for e in effects:
            colour = VERDICT_COLOURS.get(e.verdict, "#7F7F7F")
            rows.append(
                f'<text x="{left - 10}" y="{y + 4:g}" text-anchor="end">{html.escape(e.label)}</text>'
                f'<g transform="translate({left} 0)" stroke="{colour}" fill="{colour}">{_drawn(e, reach, y)}</g>'
                f'<text x="{left + WIDTH + 12}" y="{y + 4:g}">{html.escape(f"{e.text}  {e.verdict}")}</text>'
            )
            y += row
        y += 6
    scale = "".join(
        f'<line x1="{left + _x(t, reach)}" y1="24" x2="{left + _x(t, reach)}" y2="{y - 8:g}" '
        f'stroke="{"#1b1f24" if t == 0 else "#d5d2cb"}"/>'
        f'<text x="{left + _x(t, reach)}" y="{y + 8:g}" text-anchor="middle" fill="#5b6470">{verdict.signed(t)}</text>'
        for t in ticks
    )
    height, width = y + 34, left + WIDTH + right
    note = "difference in points with its 95% interval; right of 0 the first arm is better; an arrow: it goes on"
    if any(e.border for _, effects in groups for e in effects):
        note += "; a dotted tick: the declared margin"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif" font-size="13" fill="#1b1f24">\n'
        f'<rect width="100%" height="100%" fill="#ffffff" rx="6"/>\n{scale}\n' + "\n".join(rows) + "\n"
        f'<text x="{left + WIDTH / 2:g}" y="{y + 26:g}" text-anchor="middle" fill="#5b6470">{note}</text>\n</svg>\n'
    )
