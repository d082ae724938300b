"""What a plan says of a file that has fewer problems than the config asks for, or is gone through very often."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsm_repro import stages
from dsm_repro.config.compose import compose
from dsm_repro.config.schema import Config
from dsm_repro.training.available import problems_there, shortage_note


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text('{"question": "One and one?", "answer": "2"}\n\n' * 30)
    return path


def at_paper(path: Path) -> Config:
    return compose(["scale=paper", f"problems.train_path={path}", "reward=outcome"])


def test_problems_of_a_file_are_counted_and_counted_again_when_it_changes(file: Path) -> None:
    assert problems_there(at_paper(file), "train") == problems_there(at_paper(file), "rl") == 30
    file.write_text('{"question": "One and two?", "answer": "3"}\n')
    assert problems_there(at_paper(file), "train") == 1


def test_nothing_is_said_without_a_file(tmp_path: Path) -> None:
    assert problems_there(compose([]), "train") is None
    assert shortage_note(at_paper(tmp_path / "elsewhere.jsonl"), "train", "sft.examples", 776_000) == ()


@pytest.mark.parametrize("stage", ["sft", "reward_model", "rl"])
def test_a_file_that_is_too_short_is_a_note_of_every_stage_that_reads_it(stage: str, file: Path) -> None:
    key, asked = {"sft": ("sft.examples", 776_000)}.get(stage, (f"{stage}.questions", 144_000))
    said = f"{key}={asked}: problems.train_path has 30, and no more are used"
    assert said in stages.load(stage).estimate(at_paper(file)).notes


def test_examples_that_are_repeated_very_often_are_a_note_with_the_number(file: Path) -> None:
    """500 steps of 256 packed rows of 4,096 tokens, of 30 examples of about 300 tokens."""
    notes = stages.load("sft").estimate(at_paper(file)).notes
    assert any("524M tokens from 30 examples, about 58254 epochs" in note for note in notes)


@pytest.mark.parametrize("scale", ["smoke", "mini", "gpu", "paper", "cpu_real"])
def test_no_scale_repeats_the_examples_that_it_asks_for_very_often(scale: str) -> None:
    notes = stages.load("sft").estimate(compose([f"scale={scale}", "problems.train_path=''"])).notes
    assert not any("epochs" in note for note in notes)
