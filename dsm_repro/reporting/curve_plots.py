"""The figure of the section "At equal compute": accuracy over tokens, FLOPs and seconds, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from dsm_repro.reporting.curves import AXES, Traced, lines, traced
from dsm_repro.reporting.measures import Results
from dsm_repro.reporting.plots import COLOURS, MARKERS, MOST_NAMES, finish, legend, new_figure, slug, style_sheet
from dsm_repro.reporting.records import Sweep

_LEGEND_COLUMNS = 5


def figure_name(column: str) -> str:
    """Without its ending."""
    return f"equal-compute-{slug(column)}"


def figures(sweep: Sweep, found: Results) -> dict[str, str]:
    """File name -> SVG text of every column in which an arm has a curve."""
    drawn = {}
    for column in found.columns:
        runs = traced(sweep, column)
        if runs:
            name = figure_name(column.id)
            drawn[f"{name}.svg"] = _panels(runs, sweep.arms, name)
    return drawn


def _panels(runs: Sequence[Traced], arms: Sequence[str], name: str) -> str:
    from matplotlib import rc_context
    from matplotlib.ticker import EngFormatter, MaxNLocator

    shown = [arm for arm in arms if any(one.arm == arm for one in runs)]
    rows = -(-min(len(shown), MOST_NAMES) // _LEGEND_COLUMNS)
    with rc_context(style_sheet()):
        figure, panels = new_figure(8.6, 3.2 + 0.22 * rows, len(AXES), left=0.5, bottom=0.55 + 0.22 * rows, top=0.35)
        for panel, (axis, label) in zip(panels, AXES.items(), strict=True):
            for line in lines(runs, axis):
                i = arms.index(line.arm)
                colour = COLOURS[i % len(COLOURS)]
                panel.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
                panel.plot(
                    line.x, line.mean, color=colour, marker=MARKERS[i % len(MARKERS)], markersize=4.5,
                    markevery=max(1, len(line.x) // 6), linewidth=1.3, label=line.arm,
                )  # fmt: skip
            panel.grid(color="#888888", alpha=0.25, linewidth=0.8)
            panel.set_xlim(left=0)
            panel.set_xlabel(label)
            panel.xaxis.set_major_locator(MaxNLocator(4))
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
            # one scale for all panels: they show the same models
            if panel is not panels[0]:
                panel.sharey(panels[0])
        panels[0].set_title("accuracy, %", loc="left", fontsize=10)
        handles, labels = max((p.get_legend_handles_labels() for p in panels), key=lambda found: len(found[1]))
        legend(figure, handles, labels, loc="lower center", ncols=_LEGEND_COLUMNS)
        return finish(figure, name)
