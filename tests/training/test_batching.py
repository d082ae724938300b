"""Batches are what the config says, however they are cut, and their cost is counted once."""

from __future__ import annotations

from collections import Counter

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.cost import ModelShape, train_flops
from dsm_repro.training.batching import StepCosts, epoch_order, filled, sorted_within_batches, split_batch
from dsm_repro.training.planning import base_shape, training_estimate, training_flops
from dsm_repro.training.trainer import steps_and_rows


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "expected"),
    [(64, 256, 1, (64, 1)), (64, 16, 1, (16, 4)), (60, 16, 1, (15, 4)), (256, 16, 8, (16, 2)),
     # what is published: 10M tokens in rows of 4,096
     (2441, 8, 8, (8, 39)), (7, 4, 1, (4, 2)), (10, 4, 3, (4, 1))],
)  # fmt: skip
def test_parts_hold_a_batch_and_little_more(batch: int, micro: int, processes: int, expected: tuple[int, int]) -> None:
    rows, passes = split_batch(batch, micro, processes)
    assert (rows, passes) == expected and rows <= micro
    assert 0 <= rows * passes * processes - batch < processes * passes + processes


def test_batches_are_filled_up_and_nothing_moves_between_them() -> None:
    assert filled([3, 1, 2, 0, 2, 1], 3, 5, 9) == [3, 1, 2, 9, 9, 0, 2, 1, 9, 9]
    assert filled([3, 1, 2, 0], 2, 2, 9) == [3, 1, 2, 0]


@pytest.mark.parametrize(("batch", "micro", "processes"), [(0, 4, 1), (8, 0, 1)])
def test_a_batch_that_cannot_be_cut_is_refused(batch: int, micro: int, processes: int) -> None:
    with pytest.raises(ConfigError):
        split_batch(batch, micro, processes)


def test_epochs_hold_every_row_once() -> None:
    order = epoch_order(10, 25, "seed")
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert order == epoch_order(10, 25, "seed") != epoch_order(10, 25, "other")


def test_sorting_by_length_moves_nothing_between_batches() -> None:
    lengths = [5, 9, 1, 7, 3, 3, 8, 2]
    order = [7, 0, 1, 2, 6, 5, 4, 3]
    by_length = sorted_within_batches(order, lengths, 4)
    assert by_length == [1, 0, 7, 2, 6, 3, 4, 5]
    assert Counter(by_length[:4]) == Counter(order[:4])


def test_costs_are_cumulative_and_leave_padding_out() -> None:
    shape = ModelShape(hidden_size=8, layers=2, intermediate_size=16, vocab_size=32, heads=2, kv_heads=2)
    costs = StepCosts.of(shape, [0, 1, 1, 2], [[3, 4], [5], [1]], 2)
    assert costs.tokens == (0, 12, 18)
    assert costs.flops[1] == train_flops(shape, 12, 9 + 16 + 25)
    assert costs.flops[2] == pytest.approx(train_flops(shape, 18, 9 + 16 + 25 + 25 + 1))


def test_budgets_are_whole_batches_of_whole_rows() -> None:
    assert steps_and_rows(1_000_000, 4_096, 256, "pretrain") == (244, 16)
    # §2.3: 500B tokens in batches of 10M, 4K context
    assert steps_and_rows(500_000_000_000, 10_000_000, 4_096, "pretrain") == (50_008, 2_441)
    with pytest.raises(ConfigError, match=r"pretrain\.tokens=100: less than one batch \(4096 tokens\)"):
        steps_and_rows(100, 4_096, 256, "pretrain")
    with pytest.raises(ConfigError, match=r"pretrain\.batch_tokens=100: less than one row of 256"):
        steps_and_rows(100, 100, 256, "pretrain")


def test_the_plan_of_published_weights_uses_their_size() -> None:
    spec = ModelSpec(path="hub/model", parameters=7_000_000_000, hidden_size=4_096, layers=30)
    assert training_flops(spec, 1e6, 0) == 6 * 7e9 * 1e6
    config = Config()
    config.scale.models = {"coder": spec}
    assert base_shape(config).parameters == pytest.approx(7e9, rel=0.01)
    config.scale.models = {"coder": ModelSpec(path="hub/model")}
    unknown = training_estimate(config, 1e6, 4_096)
    assert unknown.flops == 0
    assert "scale.models.<role>.parameters" in unknown.notes[0]


def test_weights_win_over_a_tiny_model_of_the_same_role() -> None:
    config = Config()
    config.scale.models = {"coder": ModelSpec(path="hub/model", tiny=TinyModelConfig())}
    assert base_shape(config).parameters == 0
