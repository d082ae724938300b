"""What a report prints as published is what the recipe uses, and is what the paper says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.schema import Config

#: read off the paper by hand, apart from the YAML
PAPER = {
    "corpus.classifier.dim": 256,
    "pretrain.tokens": 500e9,
    "pretrain.batch_tokens": 10e6,
    "pretrain.peak_learning_rate": 4.2e-4,
    "pretrain.warmup_steps": 2_000,
    "pretrain.decay_to": [0.316, 0.1],
    "sft.steps": 500,
    "sft.batch_size": 256,
    "sft.learning_rate": 5e-5,
    "rl.group_size": 64,
    "rl.learning_rate": 1e-6,
    "rl.kl_coefficient": 0.04,
    "rl.max_completion_length": 1_024,
    "rl.updates_per_exploration": 1,
}


def value_at(config: Config, path: str) -> Any:
    found: Any = dataclasses.asdict(config)
    for name in path.split("."):
        found = found[name]
    return found


@pytest.fixture(scope="module")
def paper() -> Config:
    return compose(["recipe=paper", "scale=paper"])


def test_the_paper_scale_uses_every_published_value(paper: Config) -> None:
    assert {path: value_at(paper, path) for path in paper.published} == {
        path: entry["value"] for path, entry in paper.published.items()
    }


def test_published_values_are_the_papers(paper: Config) -> None:
    assert {path: paper.published[path]["value"] for path in PAPER} == PAPER
    assert all(entry["source"].startswith(("§", "release")) for entry in paper.published.values())


def test_the_mix_is_that_of_the_paper(paper: Config) -> None:
    assert paper.mix.weights == {
        "math": 0.56, "algebraic_stack": 0.04, "arxiv": 0.10, "code": 0.20, "natural_language": 0.10,
    }  # fmt: skip


def test_the_card_says_where_it_is_not_the_paper() -> None:
    card = compose(["recipe=card", "scale=paper"])
    assert card.rl.kl_coefficient == 0.02
    assert "the paper has 0.04" in card.published["rl.kl_coefficient"]["source"]
