"""A reward model's artifact for tests, beside the world of ``rl_world``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from dsm_repro.config.schema import Config
from dsm_repro.reasoning.grading import Verdict
from dsm_repro.rl.reward_model import examples, model
from dsm_repro.rl.reward_model.examples import Example
from dsm_repro.training.models import load_tokenizer, save_model

PAD, EOS = 0, 1


def spell(folder: Path, text: str) -> list[int]:
    return list(load_tokenizer(folder)(text)["input_ids"])


def opinionated(folder: Path) -> torch.nn.Module:
    """A reward model whose head is not zero."""
    made = model.initialise(folder, "cpu")
    torch.manual_seed(3)
    torch.nn.init.normal_(made.score.weight, std=0.7)
    return made


def make_reward_artifact(folder: Path, language_model: Path) -> Path:
    """What the stage ``reward_model`` leaves: a model, and labelled solutions."""
    save_model(opinionated(language_model), load_tokenizer(language_model), folder / "model")
    made = [
        Example(f"q{i}", spell(language_model, f"{i}?"), [*spell(language_model, "1. 2"), EOS], [1, 4],
                [i / 4, float(i % 2)], bool(i % 2), i == 4)
        for i in range(5)
    ]  # fmt: skip
    examples.write(folder / examples.LABELS_FILE, made)
    return folder


def small_reward_model(config: Config, kind: str) -> Config:
    config.reward.kind = kind
    part = config.reward_model
    part.questions, part.samples, part.completions, part.sampling_rows = 5, 2, 3, 4
    part.batch_size, part.epochs, part.holdout_share, part.learning_rate = 4, 3, 0.2, 1e-2
    return config


def judged_by_text(grader: object, answers: Sequence[str | None], problems: Sequence[object]) -> list[Verdict]:
    """A rule under which a random model is right now and then."""
    return [Verdict("correct" if sum(map(ord, answer or "")) % 3 == 0 else "incorrect", "") for answer in answers]


def metrics_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
