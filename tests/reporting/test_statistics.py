from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from dsm_repro.reporting import statistics as s


@pytest.mark.parametrize(("right", "n"), [(0, 10), (3, 10), (400, 800), (800, 800)])
def test_wilson_is_statsmodels_wilson(right: int, n: int) -> None:
    low, high = proportion_confint(right, n, method="wilson")
    assert s.wilson(right, n) == pytest.approx((max(0.0, low), min(1.0, high)), abs=1e-12)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (10, 3), (40, 41), (120, 70)])
def test_mcnemar_is_statsmodels_exact_mcnemar(only_a: int, only_b: int) -> None:
    expected = mcnemar([[50, only_a], [only_b, 60]], exact=True).pvalue if only_a + only_b else 1.0
    assert s.mcnemar_exact(only_a, only_b) == pytest.approx(min(1.0, expected), abs=1e-12)


def test_mcnemar_by_hand() -> None:
    # 5 against 0: 2 · (1/2)^5
    assert s.mcnemar_exact(5, 0) == pytest.approx(0.0625)


def test_holm_is_statsmodels_holm() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.9]
    assert s.holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))
    assert s.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert s.holm([]) == []


def test_one_replicate_gives_the_standard_error_of_a_paired_difference() -> None:
    rng = np.random.default_rng(0)
    a = (rng.random((1, 800)) < 0.5).astype(float)
    b = (rng.random((1, 800)) < 0.5).astype(float)
    d = s.paired_difference(a, b)
    cells = (a - b)[0]
    expected = 100 * 1.96 * cells.std() / np.sqrt(800)
    assert d.value == pytest.approx(100 * cells.mean())
    assert (d.high - d.low) / 2 == pytest.approx(expected, rel=0.05)
    assert d.p == d.p_questions == s.mcnemar_exact(d.only_a, d.only_b)


def test_pairing_makes_the_interval_narrower() -> None:
    rng = np.random.default_rng(1)
    b = (rng.random((1, 500)) < 0.5).astype(float)
    a = b.copy()
    a[0, :25] = 1
    paired = s.paired_difference(a, b)
    shuffled = s.paired_difference(a, b[:, rng.permutation(500)])
    assert paired.high - paired.low < 0.5 * (shuffled.high - shuffled.low)


def test_identical_arms_have_no_difference_and_p_one() -> None:
    a = np.ones((3, 50))
    d = s.paired_difference(a, a)
    assert (d.value, d.p, d.p_questions) == (0, 1, 1)
    # by hand: Wilson's upper end of 0 in 50 is z²/(50 + z²)
    assert (d.low, d.high) == pytest.approx((-7.1348, 7.1348), abs=1e-3)


def test_few_identical_answers_do_not_show_that_a_difference_is_below_a_margin() -> None:
    few, many = (s.paired_difference(np.zeros((3, n)), np.zeros((3, n)), null=3.0) for n in (24, 800))
    assert few.high > 3 and few.p > 0.5
    assert many.high < 3 and many.p < 0.001
    one = s.paired_difference(np.zeros((1, 24)), np.zeros((1, 24)), null=3.0)
    assert one.high > 3 and one.p > 0.5


def test_two_questions_show_little_however_many_seeds_agree_on_them() -> None:
    d = s.paired_difference(np.ones((3, 2)), np.zeros((3, 2)))
    assert d.value == 100 and d.low < 10


def test_what_all_seeds_get_right_is_no_certainty() -> None:
    assert s.accuracy(np.ones((3, 24))).low == pytest.approx(100 * s.wilson(24, 24)[0])
    assert s.accuracy(np.zeros((3, 24))).high == pytest.approx(100 * s.wilson(0, 24)[1])


def test_the_interval_of_an_accuracy_near_all_covers_it() -> None:
    rng = np.random.default_rng(5)
    found = [s.accuracy((rng.random((3, 100)) < 0.995).astype(float), 1_000) for _ in range(300)]
    assert np.mean([i.low <= 99.5 <= i.high for i in found]) >= 0.93


def test_few_discordant_questions_give_newcombe_s_interval_and_a_p_that_agrees_with_it() -> None:
    a, b = np.zeros((1, 60)), np.zeros((1, 60))
    a[0, :4] = 1
    d = s.paired_difference(a, b)
    (low, high), (_, lost) = s.wilson(4, 60), s.wilson(0, 60)
    assert d.low == pytest.approx(100 * (4 / 60 - np.hypot(4 / 60 - low, lost)))
    assert d.high == pytest.approx(100 * high)
    assert s.paired_difference(a, b, null=d.low).p == pytest.approx(0.05, abs=1e-6)


def test_seeds_that_disagree_widen_the_interval() -> None:
    agree = np.zeros((3, 400))
    agree[:, :40] = 1
    disagree = np.zeros((3, 400))
    disagree[0, :120] = 1
    b = np.zeros((1, 400))
    narrow, wide = s.paired_difference(agree, b), s.paired_difference(disagree, b)
    assert narrow.value == wide.value == pytest.approx(10)
    assert narrow.low > 0 > wide.low


def test_bootstrap_is_the_same_every_time() -> None:
    a = (np.random.default_rng(3).random((3, 200)) < 0.5).astype(float)
    first = s.accuracy(a)
    s._question_counts.cache_clear()
    assert s.accuracy(a) == first


def test_arms_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot pair"):
        s.paired_difference(np.ones((3, 5)), np.ones((2, 5)))


def test_p_of_a_margin_is_that_of_the_shifted_difference() -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 2, (3, 400)).astype(float) for _ in range(2))
    zero = s.paired_difference(a, b)
    margin = s.paired_difference(a, b, null=zero.value)
    assert (zero.value, zero.low, zero.high) == (margin.value, margin.low, margin.high)
    # the bootstrap's distribution is not quite even
    assert margin.p == pytest.approx(1.0, abs=0.05)
    # the interval's ends are where p is 0.05
    for end in (zero.low, zero.high):
        assert s.paired_difference(a, b, null=end).p == pytest.approx(0.05, abs=0.002)
    assert s.paired_difference(a[:1], b[:1], null=99.0).p < 1e-6


def test_seeds_that_differ_by_all_there_is_give_no_difference_beyond_that() -> None:
    a = np.zeros((3, 100))
    a[0] = 1
    d = s.paired_difference(a, np.zeros((3, 100)))
    assert d.value == pytest.approx(100 / 3) and (d.low, d.high) == (-100, 100)
