"""Verdicts on simulated sweeps: seldom wrong where nothing differs, and what the plan calls detectable is found.

A few rows of the table in docs/statistics.md with fewer questions and resamples; ``benchmarks/calibration.py`` makes
all of it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from _simulated_sweeps import Rates, Scenario
from calibration import SCENARIOS, at, stated

SWEEPS, RESAMPLES, QUESTIONS = 1_000, 100, 200
#: of a share of 0.8 over a thousand sweeps, twice its standard error
ERROR = 0.025


def small(name: str) -> Scenario:
    return replace(SCENARIOS[name], questions=QUESTIONS)


@pytest.mark.parametrize(
    "name",
    [
        "nothing trained",
        "seeds agree, 800",
        "seeds differ much, three comparisons",
        "one checkpoint against its seeds",
        "a seed that goes wrong",
    ],
)
def test_without_a_true_difference_at_most_one_sweep_in_twenty_decides(name: str) -> None:
    assert Rates.of(small(name), SWEEPS, RESAMPLES).decided <= 0.05


@pytest.mark.parametrize(
    "name", ["nothing trained", "800", "one checkpoint against its seeds", "not greater, margin 2"]
)
def test_the_difference_that_the_plan_states_is_found(name: str) -> None:
    scenario = small(name)
    detectable = stated(scenario)
    assert detectable is not None
    assert Rates.of(at(scenario, detectable), SWEEPS, RESAMPLES, seed=2).found >= 0.8 - ERROR


def test_one_seed_of_a_trained_arm_decides_nothing_however_large_the_difference() -> None:
    rates = Rates.of(Scenario(seeds=1, effect=30.0), 50, RESAMPLES)
    assert rates.decided == 0 and rates.direction == 1
