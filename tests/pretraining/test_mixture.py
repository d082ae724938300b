"""The mix holds its shares, spreads its sources, and refuses to repeat a source too often."""

from __future__ import annotations

from collections import Counter

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.pretraining.mixture import check_weights, interleave, mix, row_targets

PAPER = {"math": 0.56, "algebraic_stack": 0.04, "arxiv": 0.10, "code": 0.20, "natural": 0.10}


@pytest.mark.parametrize("rows", [7, 100, 999])
def test_achieved_shares_are_within_one_row_of_the_targets(rows: int) -> None:
    mixture = mix(PAPER, dict.fromkeys(PAPER, 1_000), rows, 16, 1.0, seed=0)
    assert len(mixture.places) == rows
    counts = Counter(name for name, _ in mixture.places)
    for name, weight in PAPER.items():
        assert abs(counts[name] - weight * rows) < 1
        assert mixture.achieved_shares[name] == counts[name] / rows


def test_row_targets_by_largest_remainder() -> None:
    # exact: 3.92, 0.28, 0.7, 1.4, 0.7 -> floors sum to 4; the three largest remainders get one more
    assert row_targets(PAPER, 7) == {"math": 4, "algebraic_stack": 0, "arxiv": 1, "code": 1, "natural": 1}


def test_every_prefix_holds_the_shares() -> None:
    counts = row_targets(PAPER, 500)
    names = interleave(counts)
    for end in range(1, 501):
        prefix = Counter(names[:end])
        assert all(abs(prefix[name] - counts[name] / 500 * end) <= 1.5 for name in PAPER)


def test_a_source_is_gone_through_once_before_any_row_comes_again() -> None:
    mixture = mix({"a": 0.5, "b": 0.5}, {"a": 10, "b": 40}, 50, 16, 4.0, seed=0)
    rows = [row for name, row in mixture.places if name == "a"]
    assert mixture.epochs == {"a": 2.5, "b": 25 / 40}
    assert sorted(rows[:10]) == sorted(rows[10:20]) == list(range(10))
    assert rows[:10] != rows[10:20]
    assert max(Counter(row for name, row in mixture.places if name == "b").values()) == 1


def test_too_much_repetition_names_source_tokens_epochs_and_fix() -> None:
    with pytest.raises(ConfigError) as error:
        mix({"math": 0.5, "code": 0.5}, {"math": 10, "code": 100}, 100, 16, 4.0, seed=0)
    message = str(error.value)
    for part in (
        "mix.weights.math",
        "800 tokens",
        "has 160",
        "5.0 epochs",
        "pretrain.max_epochs=4",
        "Lower its weight",
    ):
        assert part in message


def test_repetition_up_to_the_limit_is_allowed() -> None:
    assert mix({"math": 1.0}, {"math": 10}, 80, 16, 8.0, seed=0).epochs == {"math": 8.0}


@pytest.mark.parametrize("weights", [{}, {"a": 0.5}, {"a": 0.7, "b": 0.4}, {"a": 1.5, "b": -0.5}, {"a": float("nan")}])
def test_shares_must_be_a_distribution(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"mix\.weights.*sum to"):
        check_weights(weights, "mix.weights")


def test_the_order_depends_on_the_seed_and_nothing_else() -> None:
    def places(seed: int) -> tuple[tuple[str, int], ...]:
        return mix(PAPER, dict.fromkeys(PAPER, 90), 100, 16, 1.0, seed).places

    assert places(1) == places(1) != places(2)
