from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib import colormaps

from dsm_repro.reporting import heat, statistics
from dsm_repro.reporting.measures import CategoryValue, Results

NAMES = ("Algebra", "Number & <Theory>", "Geometry")


def results(values: dict[tuple[str, str], float]) -> Results:
    found = [
        CategoryValue(arm, "cot", category, statistics.Interval(value, value - 1, value + 1, 1, 100))
        for (category, arm), value in values.items()
    ]
    return Results((), {}, (), tuple(found), "descriptive")


def texts(svg: str) -> list[tuple[float, float, str]]:
    return [
        (float(t.get("x", 0)), float(t.get("y", 0)), t.text or "")
        for t in ET.fromstring(svg).iter()
        if (t.text or "").strip()
    ]


def test_every_cell_prints_its_number_and_a_missing_one_stays_empty() -> None:
    values = {(c, a): 10.0 * i + j for i, c in enumerate(NAMES) for j, a in enumerate(("sft", "grpo"))}
    del values["Geometry", "grpo"]
    svg = heat.heat_map(results(values), ("sft", "grpo"), "cot")
    assert sorted(t for _, _, t in texts(svg) if t.isdigit()) == sorted(f"{v:.0f}" for v in values.values())
    assert svg.count("<rect") == 5
    assert "Number & <Theory>" in {t for _, _, t in texts(svg)}, "escaped, and read back as it was"


@pytest.mark.parametrize(("arms", "down"), [(2, NAMES[0]), (9, "arm0")])
def test_the_longer_list_runs_down_the_page(arms: int, down: str) -> None:
    names = tuple(f"arm{i}" for i in range(arms))
    svg = heat.heat_map(results({(c, a): 50.0 for c in NAMES for a in names}), names, "cot")
    rows = {t: y for x, y, t in texts(svg) if x == min(x for x, _, _ in texts(svg))}
    assert down in rows and len(rows) == max(arms, len(NAMES))


def test_colours_are_cividis_and_small_differences_stay_small() -> None:
    palette = colormaps["cividis"]
    svg = heat.heat_map(results({("a", "x"): 49.0, ("a", "y"): 51.0}), ("x", "y"), "cot")
    drawn = re.findall(r'rx="2" fill="#(\w{6})"', svg)
    # 2 points of a range that is never narrower than 20
    for colour, level in zip(drawn, (0.45, 0.55), strict=True):
        expected = [round(255 * channel) for channel in palette(level)[:3]]
        assert [int(colour[i : i + 2], 16) for i in (0, 2, 4)] == pytest.approx(expected, abs=4)
