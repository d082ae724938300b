"""The plan's memory against peaks that ``benchmarks/memory.py`` measured (one core of a shared machine, glibc)."""

from __future__ import annotations

import memory
import pytest

from dsm_repro import stages
from dsm_repro.config.compose import compose

#: MB above the same stage on hardly any model
MEASURED = {
    "base": 788, "base-bfloat16": 685, "base-vocabulary": 924, "sft": 1_122, "sft-bfloat16": 1_012,
    "sft-vocabulary": 2_259, "rl-grpo": 1_566, "rl-grpo-bfloat16": 1_435, "rl-grpo-vocabulary": 1_245, "rl-ppo": 1_806,
    "evaluate": 271, "evaluate-bfloat16": 144, "evaluate-drawn": 168,
}  # fmt: skip
#: of the measured peak
TOLERANCE = 0.25


def planned(case: str) -> float:
    parts = stages.load(memory.CASES[case][1]).estimate(compose(memory.overrides(case))).memory
    assert parts is not None
    return parts.total


@pytest.mark.parametrize("case", MEASURED)
def test_plan_is_near_the_measured_peak(case: str) -> None:
    expected = planned(case) - planned(memory.NOTHING[memory.CASES[case][1]])
    assert expected / memory.MEBIBYTE == pytest.approx(MEASURED[case], rel=TOLERANCE)


def test_every_case_was_measured() -> None:
    assert set(MEASURED) == set(memory.CASES) - set(memory.NOTHING.values())
