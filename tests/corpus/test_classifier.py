"""fastText on our terms: deterministic, balanced, held-out pages never trained on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import ClassifierConfig
from dsm_repro.corpus.classifier import draws, line, train

CONFIG = ClassifierConfig(dim=16, bucket=2_000)


def pages(words: str, count: int, seed: str) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(words.split(), k=40)) for _ in range(count)]


MATHS = pages("solve the equation x = 3 + 4 * y for a root of it", 60, "maths")
OTHER = pages("the shop has new shoes and a recipe for fish soup with it", 60, "other")


def test_two_trainings_give_the_same_bytes(tmp_path: Path) -> None:
    saved = []
    for name in ("a", "b"):
        train(MATHS, OTHER, CONFIG, 3, tmp_path / "same").save(tmp_path / name)
        saved.append((tmp_path / name).read_bytes())
    assert saved[0] == saved[1]


def test_maths_ranks_above_the_rest(tmp_path: Path) -> None:
    classifier = train(MATHS, OTHER, CONFIG, 0, tmp_path)
    unseen = pages("solve the equation x = 3", 5, "u"), pages("the shop has shoes", 5, "v")
    assert min(classifier.scores(unseen[0])) > max(classifier.scores(unseen[1]))
    assert classifier.held_out.recall == 1.0 and classifier.held_out.precision == 1.0


def test_held_out_share_is_not_trained_on(tmp_path: Path) -> None:
    classifier = train(MATHS, OTHER, ClassifierConfig(dim=4, bucket=100, holdout_share=0.5), 0, tmp_path)
    trained = set((tmp_path / "classifier.txt").read_text().splitlines())
    assert len(trained) == 60
    state = classifier.held_out.state()
    assert state["true_positives"] + state["false_negatives"] == 30


def test_draws_keep_the_configured_ratio() -> None:
    config = ClassifierConfig(positives=1_000, negatives=1_000, max_repeats=20)
    assert draws(10, 5_000, config) == (200, 200)
    assert draws(5_000, 5_000, config) == (1_000, 1_000)
    assert draws(100, 5_000, ClassifierConfig(positives=1_000, negatives=3_000, max_repeats=5)) == (500, 1_500)


def test_an_empty_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0 positives.*corpus\.seed_paths"):
        train([], OTHER, CONFIG, 0, tmp_path)


def test_line_has_no_newline() -> None:
    assert line("x = 1\n\n  y\t= 2") == "x = 1 y = 2"
