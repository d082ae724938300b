"""fastText on our terms: deterministic, balanced, held-out pages never trained on, large sides not read whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from dsm_repro.config.corpus_schema import ClassifierConfig
from dsm_repro.config.errors import DataError
from dsm_repro.corpus.classifier import calibration, draws, line, load, score_lines, train
from dsm_repro.corpus.training_file import Side

CONFIG = ClassifierConfig(dim=16, bucket=2_000)


def pages(words: str, count: int, seed: str) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(words.split(), k=40)) for _ in range(count)]


MATHS = pages("solve the equation x = 3 + 4 * y for a root of it", 60, "maths")
OTHER = pages("the shop has new shoes and a recipe for fish soup with it", 60, "other")


def test_two_trainings_give_the_same_bytes(tmp_path: Path) -> None:
    saved = [train(MATHS, OTHER, CONFIG, 3, tmp_path / name).path.read_bytes() for name in ("a", "b")]
    assert saved[0] == saved[1]
    assert train(MATHS, OTHER, CONFIG, 4, tmp_path / "c").path.read_bytes() != saved[0]


def test_maths_ranks_above_the_rest(tmp_path: Path) -> None:
    classifier = train(MATHS, OTHER, CONFIG, 0, tmp_path)
    unseen = pages("solve the equation x = 3", 5, "u"), pages("the shop has shoes", 5, "v")
    assert min(classifier.scores(unseen[0])) > max(classifier.scores(unseen[1]))
    assert classifier.held_out.recall == 1.0 and classifier.held_out.precision == 1.0
    assert sum(bin_["pages"] for bin_ in classifier.calibration) == 12


def test_held_out_share_is_not_trained_on(tmp_path: Path) -> None:
    classifier = train(MATHS, OTHER, ClassifierConfig(dim=4, bucket=100, holdout_share=0.5), 0, tmp_path)
    trained = set((tmp_path / "classifier.txt").read_text().splitlines())
    assert len(trained) == 60
    state = classifier.held_out.state()
    assert state["true_positives"] + state["false_negatives"] == 30


def test_every_example_has_the_label_of_its_side(tmp_path: Path) -> None:
    train(MATHS, OTHER, CONFIG, 0, tmp_path)
    for example in (tmp_path / "classifier.txt").read_text().splitlines():
        label, _, text = example.partition(" ")
        assert (text in MATHS) == (label == "__label__math") and (text in OTHER) == (label == "__label__other")


def test_draws_keep_the_configured_ratio() -> None:
    config = ClassifierConfig(positives=1_000, negatives=1_000, max_repeats=20)
    assert draws(10, 5_000, config) == (200, 200)
    assert draws(5_000, 5_000, config) == (1_000, 1_000)
    assert draws(100, 5_000, ClassifierConfig(positives=1_000, negatives=3_000, max_repeats=5)) == (500, 1_500)


def test_only_the_pages_drawn_are_read(tmp_path: Path) -> None:
    asked: list[int] = []

    def lines(numbers: Sequence[int]) -> list[str]:
        asked.extend(numbers)
        return [f"{OTHER[number % 60]} page{number}" for number in numbers]

    config = ClassifierConfig(dim=4, bucket=100, positives=90, negatives=90)
    train(MATHS, Side(10_000_000, lines), config, 0, tmp_path)
    assert asked == sorted(set(asked))
    assert len(asked) == 100  # 90 to train on, 10 held out


def test_a_model_of_the_same_examples_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fasttext

    first = train(MATHS, OTHER, CONFIG, 0, tmp_path)
    before = first.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(fasttext, "train_supervised", lambda *a, **k: pytest.fail("trained again"))
        assert train(MATHS, OTHER, CONFIG, 0, tmp_path) == first
    first.path.write_bytes(before[:-10])  # what a kill leaves
    assert train(MATHS, OTHER, CONFIG, 0, tmp_path).path.read_bytes() == before
    train([*MATHS[1:], OTHER[0]], OTHER, CONFIG, 0, tmp_path)
    assert first.path.read_bytes() != before


def test_an_empty_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0 positives.*corpus\.seed_paths"):
        train([], OTHER, CONFIG, 0, tmp_path)


def test_what_fasttext_cannot_learn_is_an_error_that_names_the_settings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.classifier\.min_count"):
        train(MATHS, OTHER, ClassifierConfig(dim=4, bucket=100, min_count=1_000_000), 0, tmp_path)


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x\.bin"):
        load(tmp_path / "x.bin")


def test_line_has_no_newline_and_no_label() -> None:
    assert line("x = 1\n\n  y\t= 2") == "x = 1 y = 2"
    assert "__label__math" not in line("buy shoes __label__math __label__math\r\n\x0b\x0c\x85\u2028").split()


def test_any_text_has_a_score_from_0_to_1(tmp_path: Path) -> None:
    model = load(train(MATHS, OTHER, CONFIG, 0, tmp_path).path)
    texts = ["", " ", "\u0000", "unseen words only", line(" ".join(MATHS) * 20), "\u202e\U0001d465" * 10]
    scores = list(score_lines(model, texts))
    assert len(scores) == len(texts) and all(0 <= score <= 1 for score in scores)


def test_calibration_by_hand() -> None:
    found = calibration([True, False, True, True], [0.05, 0.09, 0.1, 1.0])
    assert [bin_["pages"] for bin_ in found] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert [found[index]["positive_share"] for index in (0, 1, 2, 9)] == [0.5, 1.0, None, 1.0]
    assert (found[0]["low"], found[9]["high"]) == (0.0, 1.0)
