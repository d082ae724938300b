"""The figure of Maj@K and Pass@K over K (§5.2.2, Fig. 7), as SVG text."""

from __future__ import annotations

from collections.abc import Sequence

from dsm_repro.reporting import plots
from dsm_repro.reporting.at_k import KINDS, Line


def figure_name(column: str) -> str:
    return f"at-k-{plots.slug(column)}"


def figures(found: Sequence[Line], arms: Sequence[str]) -> dict[str, str]:
    """File name -> SVG text: for each column Maj@K and Pass@K side by side over K."""
    from matplotlib import rc_context

    drawn = {}
    for column in dict.fromkeys(line.column for line in found):
        shown = [line for line in found if line.column == column]
        low = min(i.low for line in shown for i in line.intervals)
        high = max(i.high for line in shown for i in line.intervals)
        room = 0.06 * max(high - low, 1.0)
        with rc_context(plots.style_sheet()):
            figure, axes = plots.new_figure(8.6, 3.6, 2, left=0.6, top=0.35)
            for axis, kind in zip(axes, KINDS, strict=True):
                for line in (line for line in shown if line.kind == kind):
                    i = arms.index(line.arm)
                    colour = plots.COLOURS[i % len(plots.COLOURS)]
                    lows, highs = [v.low for v in line.intervals], [v.high for v in line.intervals]
                    axis.fill_between(line.ks, lows, highs, color=colour, alpha=0.18, linewidth=0)
                    axis.plot(
                        line.ks,
                        [v.value for v in line.intervals],
                        color=colour,
                        marker=plots.MARKERS[i % len(plots.MARKERS)],
                        markersize=5.5,
                        linewidth=1.5,
                        label=line.arm,
                    )
                axis.set_xscale("log", base=2)
                ks = shown[0].ks
                axis.set_xticks(ks, [str(k) for k in ks])
                axis.minorticks_off()
                # one scale for both panels: what a vote leaves of the coverage is then a distance
                axis.set_ylim(max(0.0, low - room), min(100.0, high + room))
                axis.grid(color="#888888", alpha=0.25, linewidth=0.8)
                axis.set_xlabel("K answers")
                axis.set_title(f"{kind}@K, %", loc="left", fontsize=10)
            axes[1].legend(fontsize=9, loc="lower right")
            drawn[f"{figure_name(column)}.svg"] = plots.finish(figure, figure_name(column))
    return drawn
