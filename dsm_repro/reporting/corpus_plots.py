"""The figures of a corpus: scores with the cut, calibration of the last round, page lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsm_repro.reporting.corpus import Corpus, Histogram, corpora, histogram
from dsm_repro.reporting.plots import COLOURS, INK, finish, new_figure, style_sheet
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.statistics import wilson
from dsm_repro.reporting.values import mapping, number, records

_ALL, _ALL_ALPHA = "#888888", 0.45
_COLLECTED = COLOURS[0]
_POSITIVE = COLOURS[1]
#: labelled edges of the length bins: more would run into one another
_MOST_TICKS = 12


def figures(sweep: Sweep) -> dict[str, str]:
    """File name -> SVG text of every corpus of the sweep."""
    found = corpora(sweep)
    drawn: dict[str, str] = {}
    for corpus in found:
        scored, bins = histogram(corpus.record.get("histogram")), calibration(corpus)
        if scored is not None and None in scored.edges:
            scored = None
        if scored is not None or bins:
            threshold = number(mapping(corpus.record.get("histogram")).get("threshold"))
            name = figure_name("scores", corpus, found)
            drawn[f"{name}.svg"] = _scores(scored, threshold, bins, name)
        lengths = histogram(mapping(corpus.part("composition")).get("tokens"))
        if lengths is not None:
            name = figure_name("lengths", corpus, found)
            drawn[f"{name}.svg"] = _lengths(lengths, name)
    return drawn


def figure_name(what: str, corpus: Corpus, found: Sequence[Corpus]) -> str:
    """Without its ending; numbered where the sweep has several corpora."""
    return f"corpus-{what}" if len(found) == 1 else f"corpus-{corpus.number}-{what}"


def calibration(corpus: Corpus) -> list[Mapping[str, Any]]:
    """The last round's bins that hold pages and are whole."""
    bins = records(corpus.rounds[-1].get("calibration")) if corpus.rounds else []
    whole = [b for b in bins if all(number(b.get(k)) is not None for k in ("low", "high", "pages", "positive_share"))]
    return [b for b in whole if b["pages"] > 0 and 0 <= b["positive_share"] <= 1]


def _scores(scored: Histogram | None, threshold: float | None, bins: Sequence[Mapping[str, Any]], name: str) -> str:
    from matplotlib import rc_context

    panels = 1 if scored is None or not bins else 2
    with rc_context(style_sheet()):
        figure, axes = new_figure(8.6 if panels == 2 else 5.6, 3.3, panels, left=0.7, top=0.35)
        if scored is not None:
            _draw_scores(axes[0], scored, threshold)
        if bins:
            _draw_calibration(axes[-1], bins)
        return finish(figure, name)


def _draw_scores(axes: Any, scored: Histogram, threshold: float | None) -> None:
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    low = [float(edge) for edge in scored.edges[:-1] if edge is not None]
    width = [float(high) - start for start, high in zip(low, scored.edges[1:], strict=True) if high is not None]
    floor = 0.7
    axes.set_yscale("log")
    for counts, colour, alpha, label in (
        (scored.pages, _ALL, _ALL_ALPHA, "all pages"),
        (scored.collected, _COLLECTED, 1.0, "collected"),
    ):
        heights = [max(count - floor, 0.0) for count in counts]
        axes.bar(low, heights, width, bottom=floor, align="edge", color=colour, alpha=alpha, label=label, linewidth=0)
    top = max(*scored.pages, *scored.collected, 1.0)
    # room for the legend above the tallest bar
    axes.set_ylim(floor, top * (top / floor) ** 0.35)
    axes.set_xlim(low[0], low[-1] + width[-1])
    if threshold is not None:
        style = {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 2))}
        axes.plot([threshold, threshold], [floor, 1.5 * top], label=f"cut at {threshold:.4g}", **style)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#888888", alpha=0.25, linewidth=0.8)
    axes.set_xlabel("classifier's score")
    axes.set_title("pages (log scale)", loc="left", fontsize=10)
    axes.legend(fontsize=9, loc="upper center", ncols=3, columnspacing=1.2, handlelength=1.4)


def _draw_calibration(axes: Any, bins: Sequence[Mapping[str, Any]]) -> None:
    axes.plot([0, 1], [0, 1], color=_ALL, linewidth=1, linestyle=(0, (1, 2)))
    middle = [(float(b["low"]) + float(b["high"])) / 2 for b in bins]
    for x, b in zip(middle, bins, strict=True):
        interval = wilson(b["positive_share"] * b["pages"], b["pages"])
        axes.plot([x, x], interval, color=_POSITIVE, linewidth=3, alpha=0.45, solid_capstyle="butt")
    shares = [float(b["positive_share"]) for b in bins]
    axes.plot(middle, shares, color=_POSITIVE, marker="s", markersize=5, linewidth=1.3)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(color="#888888", alpha=0.25, linewidth=0.8)
    axes.set_xlabel("classifier's score")
    axes.set_title("share of positives, held-out pages", loc="left", fontsize=10)


def _lengths(lengths: Histogram, name: str) -> str:
    from matplotlib import rc_context
    from matplotlib.ticker import StrMethodFormatter

    with rc_context(style_sheet()):
        figure, (axes,) = new_figure(8.6, 2.8, left=0.7, top=0.35)
        at = range(len(lengths.pages))
        # bins of equal width on paper: their edges grow by factors
        axes.bar(at, lengths.pages, 0.96, align="edge", color=_ALL, alpha=_ALL_ALPHA, label="all pages", linewidth=0)
        axes.bar(at, lengths.collected, 0.96, align="edge", color=_COLLECTED, label="collected", linewidth=0)
        step = -(-len(lengths.edges) // _MOST_TICKS)
        shown = range(0, len(lengths.edges), step)
        axes.set_xticks(list(shown), [_edge(lengths.edges[i]) for i in shown])
        axes.set_xlim(0, len(lengths.pages) + 0.2)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="y", color="#888888", alpha=0.25, linewidth=0.8)
        axes.set_xlabel("tokens of a page")
        axes.set_title("pages", loc="left", fontsize=10)
        axes.legend(fontsize=9)
        return finish(figure, name)


def _edge(value: float | None) -> str:
    if value is None:
        return "∞"
    return f"{value / 1000:.3g}k" if value >= 10_000 else f"{value:,.0f}"
