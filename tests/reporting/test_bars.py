"""The scale of the front page holds every difference; a wide interval is cut and says so."""

from __future__ import annotations

from dsm_repro.reporting import bars, verdict
from dsm_repro.reporting.bars import Effect


def effect(value: float, half: float) -> Effect:
    return Effect("a − b", value, value - half, value + half, verdict.INCONCLUSIVE)


def test_one_wide_interval_does_not_make_the_others_small() -> None:
    usual = [effect(2, 5), effect(-6, 9), effect(10, 4), effect(3, 7)]
    assert bars.extent(usual) == 15
    assert bars.extent([*usual, effect(0, 90)]) == 15
    # a difference itself is never off the scale
    assert bars.extent([*usual, effect(44, 90)]) == 50
    assert bars.extent([]) == 5


def test_an_interval_that_goes_on_has_an_arrow_at_that_end_alone() -> None:
    whole, cut, both = (bars.bar(effect(value, half), 20) for value, half in ((5, 10), (15, 10), (0, 30)))
    # the marker is a polygon, too
    assert [svg.count("<polygon") for svg in (whole, cut, both)] == [1, 2, 3]
    line = cut[cut.index("stroke-width") - 60 :]
    assert f'x2="{bars._x(20, 20)}"' in line and f'x1="{bars._x(5, 20)}"' in line
