"""The multi-step schedule of §2.2 against factors worked by hand."""

from __future__ import annotations

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.pretraining.schedule import multi_step, warmup_note


def test_the_factors_of_the_paper() -> None:
    factor = multi_step(50_000, 2_000, [0.8, 0.9], [0.316, 0.1])
    assert factor(0) == 1 / 2_000
    assert factor(999) == 0.5
    assert factor(1_999) == factor(2_000) == factor(39_999) == 1.0
    assert factor(40_000) == factor(44_999) == 0.316
    assert factor(45_000) == factor(49_999) == 0.1


def test_ten_steps_by_hand() -> None:
    factor = multi_step(10, 2, [0.8, 0.9], [0.316, 0.1])
    assert [factor(step) for step in range(10)] == [0.5, 1, 1, 1, 1, 1, 1, 1, 0.316, 0.1]


def test_a_warmup_longer_than_training_is_not_shortened() -> None:
    factor = multi_step(10, 100, [0.8, 0.9], [0.316, 0.1])
    assert factor(7) == 0.08
    assert factor(9) == pytest.approx(0.1 * 0.1)
    assert warmup_note(10, 100) == ("pretrain.warmup_steps=100 of 10 steps: the peak learning rate is never reached",)
    assert warmup_note(1_000, 100) == ()


def test_without_warmup_and_decay_the_rate_is_constant() -> None:
    factor = multi_step(10, 0, [], [])
    assert {factor(step) for step in range(10)} == {1.0}


@pytest.mark.parametrize(
    ("at", "to", "warmup"),
    [([0.8], [0.3, 0.1], 0), ([0.9, 0.8], [0.3, 0.1], 0), ([1.2], [0.1], 0), ([0.8], [-0.1], 0), ([0.8], [0.1], -1)],
)
def test_a_schedule_that_makes_no_sense_is_refused(at: list[float], to: list[float], warmup: int) -> None:
    with pytest.raises(ConfigError, match="pretrain\\."):
        multi_step(10, warmup, at, to)
