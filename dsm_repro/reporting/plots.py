"""The figures of a page, as SVG text that is the same byte for byte for the same numbers.

Colours are Okabe and Ito's, told apart by any colour vision, and every arm has its own marker besides.
Black is drawn as ``currentColor``, so a figure inlined in the page follows light and dark; the files
beside it, which Markdown shows, get a light panel (:func:`standalone`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsm_repro.reporting import verdict
from dsm_repro.reporting.measures import Compared, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
VERDICT_COLOURS = {
    verdict.REPRODUCED: "#009E73",
    verdict.DIRECTION_ONLY: "#0072B2",
    verdict.INCONCLUSIVE: "#7F7F7F",
    verdict.CONTRADICTED: "#D55E00",
    verdict.DESCRIPTIVE: "#8C6BB1",
}
#: stands for currentColor while matplotlib draws
INK = "#010203"
_PANEL = '<rect width="100%" height="100%" fill="#ffffff" rx="6"/>'
_MAX_POINTS = 100
#: arms that a legend names
MOST_NAMES = 12


@dataclass(frozen=True)
class Curve:
    """One run's learning curve."""

    arm: str
    seed: int
    x: Sequence[float]
    y: Sequence[float]


def style_sheet() -> dict[str, Any]:
    ink = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    return {
        **ink,
        "svg.fonttype": "none",
        "svg.hashsalt": "dsm",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.linewidth": 0.8,
        "legend.frameon": False,
        "path.simplify": False,
        "axes.unicode_minus": True,
        # arms may have any name
        "text.parse_math": False,
    }


def new_figure(
    width: float, height: float, columns: int = 1, left: float = 0.7, bottom: float = 0.5, top: float = 0.1
) -> tuple[Figure, list[Axes]]:
    """A figure of one row of panels; sizes and margins in inches (measured ones cost a second drawing)."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    figure.subplots_adjust(left / width, bottom / height, 1 - 0.15 / width, 1 - top / height, wspace=0.24)
    return figure, list(axes)


def _room(labels: Sequence[str]) -> float:
    """Inches that the longest label needs at 10 points."""
    return 0.25 + 0.078 * max((len(label) for label in labels), default=0)


def _svg(figure: Figure, name: str) -> str:
    out = io.StringIO()
    figure.savefig(
        out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # several figures share one page: their ids must not meet
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", text)
    text = text.replace("'DejaVu Sans', 'Bitstream Vera Sans', ", "")
    return text.replace(INK, "currentColor").replace("\r", "")


def _rounded(svg: str) -> str:
    """Coordinates to a tenth of a point: a third smaller, and no last digits that a machine decides."""

    def rounded(attribute: re.Match[str]) -> str:
        return re.sub(r"-?\d+\.\d+", lambda m: f"{round(float(m[0]), 1) + 0:g}", attribute[0])

    # only attributes: the printed numbers are text, and stay as they are
    return re.sub(r'\b(?:d|x|y|transform)="[^"]*"', rounded, svg)


def slug(column: str) -> str:
    """A column's id as part of a file's name."""
    return re.sub(r"\W+", "-", column).strip("-")


def standalone(svg: str) -> str:
    """The same figure as a file of its own: ink on a light panel."""
    head, _, body = svg.partition(">")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}>\n {_PANEL}{body}'.replace("currentColor", "#1b1f24")


def finish(figure: Figure, name: str) -> str:
    return _rounded(_svg(figure, name))


def forest(compared: Sequence[Compared]) -> str:
    """Paired differences with their intervals, one row each, coloured by verdict."""
    from matplotlib import rc_context

    shown = [c for c in compared if c.difference is not None]
    with rc_context(style_sheet()):
        labels = [f"{verdict.minus(c.a, c.b)}  ({c.where})" for c in reversed(shown)]
        figure, (axes,) = new_figure(8.6, 0.75 + 0.5 * len(shown), left=_room(labels))
        for row, c in enumerate(reversed(shown)):
            d = c.difference
            assert d is not None
            colour = VERDICT_COLOURS[c.verdict]
            axes.plot([d.low, d.high], [row, row], color=colour, linewidth=3, solid_capstyle="round")
            marker = MARKERS[list(VERDICT_COLOURS).index(c.verdict)]
            axes.plot([d.value], [row], marker=marker, markersize=8, color=colour, linestyle="")
            label = f"{verdict.signed(d.value)}  {c.verdict}"
            if c.border:
                axes.plot([c.border] * 2, [row - 0.32, row + 0.32], color=INK, linewidth=1.2, linestyle=":")
            axes.annotate(label, (d.high, row), (8, 0), textcoords="offset points", va="center", fontsize=9)
        axes.axvline(0, color=INK, linewidth=1)
        low = min([0.0, *(c.difference.low for c in shown if c.difference)])
        high = max([*(c.border for c in shown), *(c.difference.high for c in shown if c.difference)])
        room = max(high - low, 1.0)
        axes.set_xlim(low - 0.06 * room, high + 0.34 * room)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_yticks(range(len(shown)), labels)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="#888888", alpha=0.25, linewidth=0.8)
        axes.set_xlabel("difference in points, with 95% interval")
        return finish(figure, "forest")


def accuracies(results: Results, arms: Sequence[str]) -> str:
    """Accuracy of each arm with its interval; open marks are the single replicates."""
    from matplotlib import rc_context

    columns = results.columns
    intervals = [m.interval for m in results.measured.values()]
    low, high = min(i.low for i in intervals), max(i.high for i in intervals)
    room = 0.06 * max(high - low, 1.0)
    with rc_context(style_sheet()):
        figure, panels = new_figure(8.6, 0.75 + 0.44 * len(arms), len(columns), left=_room(arms))
        for panel, column in zip(panels, columns, strict=True):
            for row, arm in enumerate(reversed(arms)):
                m = results.measured.get((arm, column.id))
                if m is None:
                    continue
                i = len(arms) - 1 - row
                colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
                panel.plot([m.interval.low, m.interval.high], [row, row], color=colour, linewidth=3, alpha=0.55)
                if len(m.right) > 1:
                    each = [100 * float(v) for v in m.right.mean(axis=1)]
                    panel.plot(each, [row] * len(each), "|", color=colour, markersize=11, markeredgewidth=1.3)
                panel.plot([m.interval.value], [row], marker, color=colour, markersize=8)
            # one scale for all panels, or the eye compares what the numbers do not say
            panel.set_xlim(max(0.0, low - room), min(100.0, high + room))
            panel.set_ylim(-0.6, len(arms) - 0.4)
            first = panel is panels[0]
            panel.set_yticks(range(len(arms)), list(reversed(arms)) if first else [""] * len(arms))
            panel.tick_params(axis="y", length=0)
            panel.grid(axis="x", color="#888888", alpha=0.25, linewidth=0.8)
            panel.spines["left"].set_visible(False)
            panel.set_xlabel(f"accuracy, %, {column.id}")
        return finish(figure, "accuracy")


def legend(on: Any, handles: Sequence[Any], labels: Sequence[str], **where: Any) -> None:
    """Names of the lines on an axis or a figure; of very many arms the first, since colours and marks repeat."""
    shown = list(labels[:MOST_NAMES])
    if len(labels) > MOST_NAMES:
        shown[-1] = f"{shown[-1]} and {len(labels) - MOST_NAMES} more"
    on.legend(handles[:MOST_NAMES], shown, fontsize=9, **where)


def _thin(values: Sequence[float], window: int) -> list[float]:
    """Centred running mean, then at most ``_MAX_POINTS`` of it."""
    half = window // 2
    means = [
        sum(values[max(0, i - half) : i + half + 1]) / len(values[max(0, i - half) : i + half + 1])
        for i in range(len(values))
    ]
    return means[:: max(1, -(-len(means) // _MAX_POINTS))]


def curves(panels: Mapping[tuple[str, str], Sequence[Curve]], arms: Sequence[str], name: str, window: int) -> str:
    """Learning curves, one panel per (y, x) axes; arms by colour and marker, every seed its own line."""
    from matplotlib import rc_context
    from matplotlib.ticker import EngFormatter, MaxNLocator

    with rc_context(style_sheet()):
        figure, axes = new_figure(8.6 if len(panels) > 1 else 5.6, 3.3, len(panels), left=0.6, top=0.35)
        for axis, ((ylabel, xlabel), lines) in zip(axes, panels.items(), strict=True):
            named: set[str] = set()
            for line in lines:
                i = arms.index(line.arm)
                y = _thin(line.y, window)
                x = list(line.x)[:: max(1, -(-len(line.x) // _MAX_POINTS))]
                axis.plot(
                    x,
                    y,
                    color=COLOURS[i % len(COLOURS)],
                    # one seed of each arm carries its marker: enough to tell arms apart without colour
                    marker="" if line.arm in named else MARKERS[i % len(MARKERS)],
                    markevery=max(1, len(x) // 8),
                    markersize=4.5,
                    linewidth=1.3,
                    alpha=0.85,
                    label=None if line.arm in named else line.arm,
                )
                named.add(line.arm)
            axis.grid(color="#888888", alpha=0.25, linewidth=0.8)
            axis.set_xlabel(xlabel)
            axis.xaxis.set_major_locator(MaxNLocator(4 if len(panels) > 2 else 6))
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
            axis.set_title(ylabel, loc="left", fontsize=10)
            if axis is axes[0]:
                legend(axis, *axis.get_legend_handles_labels())
        return finish(figure, name)
