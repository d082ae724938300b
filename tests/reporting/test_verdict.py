from __future__ import annotations

import pytest

from dsm_repro.reporting import verdict as v
from dsm_repro.reporting.blocks import points
from dsm_repro.reporting.statistics import Difference


def difference(value: float, low: float, high: float, replicates: int = 3) -> Difference:
    return Difference(value, low, high, 0.01, 0.01, 30, 10, replicates, 800)


@pytest.mark.parametrize(
    ("value", "low", "high", "p_holm", "expect", "word"),
    [
        (9.1, 6.0, 12.3, 0.001, "a_greater", v.REPRODUCED),
        (-9.1, -12.3, -6.0, 0.001, "b_greater", v.REPRODUCED),
        (9.1, 6.0, 12.3, 0.06, "a_greater", v.DIRECTION_ONLY),
        (2.0, -1.0, 5.0, 0.2, "a_greater", v.DIRECTION_ONLY),
        (-2.0, -5.0, 1.0, 0.2, "a_greater", v.INCONCLUSIVE),
        (-9.1, -12.3, -6.0, 0.001, "a_greater", v.CONTRADICTED),
        (-9.1, -12.3, -6.0, 0.06, "a_greater", v.INCONCLUSIVE),
        (9.1, 6.0, 12.3, 0.001, "b_greater", v.CONTRADICTED),
        (0.0, -1.0, 1.0, 1.0, "a_greater", v.INCONCLUSIVE),
        (9.1, 6.0, 12.3, 0.001, "none", v.DESCRIPTIVE),
    ],
)
def test_rules(value: float, low: float, high: float, p_holm: float, expect: str, word: str) -> None:
    assert v.judge(difference(value, low, high), p_holm, expect) == word


@pytest.mark.parametrize(
    ("value", "low", "high", "p_holm", "word"),
    [
        (0.3, -1.2, 1.8, 0.01, v.REPRODUCED),
        (-5.0, -7.0, -3.0, 0.001, v.REPRODUCED),
        # a gain that is there and is smaller than what was declared to count
        (1.5, 0.4, 2.6, 0.02, v.REPRODUCED),
        (0.3, -3.2, 3.8, 0.2, v.DIRECTION_ONLY),
        (0.3, -1.2, 1.8, 0.06, v.DIRECTION_ONLY),
        (4.0, 1.0, 7.0, 0.4, v.INCONCLUSIVE),
        (9.0, 6.0, 12.0, 0.001, v.CONTRADICTED),
    ],
)
def test_no_gain_is_shown_by_an_interval_below_the_margin(
    value: float, low: float, high: float, p_holm: float, word: str
) -> None:
    assert v.judge(difference(value, low, high), p_holm, "a_not_greater", margin=3.0) == word


def test_missing_data_is_inconclusive() -> None:
    assert v.judge(None, None, "a_greater") == v.INCONCLUSIVE
    assert "could not be measured: GRPO failed" in v.sentence("GRPO", "SFT", None, "GRPO failed")


def test_a_claim_is_as_good_as_its_weakest_comparison() -> None:
    assert v.combine([v.REPRODUCED, v.REPRODUCED]) == v.REPRODUCED
    assert v.combine([v.REPRODUCED, v.DIRECTION_ONLY]) == v.DIRECTION_ONLY
    assert v.combine([v.INCONCLUSIVE, v.DIRECTION_ONLY, v.REPRODUCED]) == v.INCONCLUSIVE
    assert v.combine([v.CONTRADICTED, v.INCONCLUSIVE]) == v.CONTRADICTED
    assert v.combine([v.DESCRIPTIVE, v.REPRODUCED]) == v.REPRODUCED
    assert v.combine([v.DESCRIPTIVE]) == v.combine([]) == v.DESCRIPTIVE


def test_the_sentence_gives_the_statistic() -> None:
    said = v.sentence("GRPO", "SFT", difference(9.1, 6.0, 12.3))
    assert said == "GRPO − SFT = +9.1 points [6.0, 12.3], 3 seeds × 800 problems"
    said = v.sentence("A", "B", difference(-0.4, -2.0, 0.02, replicates=1))
    assert said == "A − B = −0.4 points [−2.0, 0.0], 1 seed × 800 problems"


def test_the_meaning_names_the_border_that_was_crossed_or_not() -> None:
    assert v.meaning(v.REPRODUCED).endswith("its 95% interval excludes 0")
    assert "declared margin" in v.meaning(v.REPRODUCED, margins=True)
    assert "other side of 0" in v.meaning(v.CONTRADICTED)
    # one seed may show a large difference with a small p, and still not that it is more than chance
    assert "chance explains" not in v.meaning(v.DIRECTION_ONLY, one_seed=True)


@pytest.mark.parametrize(
    ("value", "said"), [(2.05, "+2.1"), (2.05 + 4e-16, "+2.1"), (2.05 - 4e-16, "+2.1"), (-2.05, "−2.1"), (-0.04, "0.0")]
)
def test_a_half_is_rounded_alike_whatever_its_last_bit(value: float, said: str) -> None:
    assert v.signed(value) == said
    assert points(abs(value)) == said.lstrip("+−")
