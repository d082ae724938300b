"""The two trainers that ``rl_step.py`` compares: one model, one set of prompts, one reward, equal settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer

from dsm_repro.config.model_schema import TinyModelConfig
from dsm_repro.config.rl_schema import BudgetConfig, RLConfig
from dsm_repro.miniature.problems import Problem, problems
from dsm_repro.miniature.tokenizer import train_tokenizer
from dsm_repro.pretraining.base_stage import initial_model
from dsm_repro.reasoning import formats
from dsm_repro.rl import estimators
from dsm_repro.rl.arguments import grpo_config
from dsm_repro.rl.exploration import Task
from dsm_repro.rl.rewards import Completions, Rewards
from dsm_repro.rl.rollouts import sample
from dsm_repro.rl.trainer import PolicyGradientTrainer
from dsm_repro.training.models import load_model, save_model

VOCABULARY = 512
QUESTIONS = 16
GROUP = 8
#: tokens that end a completion: 16 of 512 drawn about equally often is a mean of 32 tokens before the limit cuts
END_TOKENS = 16
#: a model that was just made repeats its input, because embedding and head are one matrix; scaled, it does not
EMBEDDING_SCALE = 0.02
#: small enough that the lengths stay what they are
LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class Shape:
    """A Llama with tied embeddings."""

    name: str
    hidden: int
    layers: int
    heads: int
    intermediate: int


SHAPES = {
    96: Shape("mini", 96, 3, 3, 288),
    128: Shape("0.83M", 128, 4, 4, 328),
    512: Shape("hidden 512", 512, 4, 8, 1536),
}


def shape_of(hidden: int) -> Shape:
    if hidden in SHAPES:
        return SHAPES[hidden]
    if hidden % 64:
        raise SystemExit(f"--hidden {hidden}: use {', '.join(map(str, SHAPES))} or a multiple of 64.")
    return Shape(f"hidden {hidden}", hidden, 4, hidden // 64, 3 * hidden)


def reward(text: str) -> float:
    """Varies within every group and costs next to nothing."""
    return float(sum(character.isdigit() for character in text))


def _reward_for_trl(completions: Sequence[str], **kwargs: Any) -> list[float]:
    return [reward(text) for text in completions]


def _reward_for_ours(completions: Completions) -> Rewards:
    values = [reward(text) for text in completions.texts]
    counts = {"right": 0, "wrong": len(values), "no_answer": 0, "ungradable": 0}
    return Rewards(values, counts, [False] * len(values))


class World:
    """Everything that both sides share."""

    def __init__(self, shape: Shape, limit: int, dtype: str, scratch: Path) -> None:
        self.tokenizer = train_tokenizer(VOCABULARY)
        tiny = TinyModelConfig(
            hidden_size=shape.hidden, layers=shape.layers, heads=shape.heads, intermediate_size=shape.intermediate,
            vocab_size=VOCABULARY,
        )  # fmt: skip
        model: Any = initial_model(tiny, self.tokenizer, "benchmark")
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(EMBEDDING_SCALE)
        model.generation_config.eos_token_id = list(range(1, 1 + END_TOKENS))
        self.problems: list[Problem] = problems("train", 256, 0)
        self.prompts = [formats.prompt(problem.question, "cot", "miniature") for problem in self.problems]
        self.rl = RLConfig(
            questions_per_step=QUESTIONS, group_size=GROUP, max_completion_length=limit, learning_rate=LEARNING_RATE,
            kl_coefficient=0.04, budget=BudgetConfig("steps", 1_000),
        )  # fmt: skip
        self.dtype, self.scratch = dtype, scratch
        self.parameters = model.num_parameters()
        # TRL loads the reference from where the policy came from
        self.folder = scratch / "model"
        save_model(model, self.tokenizer, self.folder)

    def _arguments(self, name: str) -> Any:
        return grpo_config(self.rl, self.rl.kl_coefficient, self.dtype, "cpu", 0, self.scratch / name)

    def theirs(self, callback: TrainerCallback) -> GRPOTrainer:
        trainer = GRPOTrainer(
            model=load_model(self.folder, "float32", "cpu"), reward_funcs=_reward_for_trl, args=self._arguments("trl"),
            train_dataset=Dataset.from_dict({"prompt": self.prompts}), processing_class=self.tokenizer,
        )  # fmt: skip
        return _quiet(trainer, callback)

    def ours(self, callback: TrainerCallback) -> PolicyGradientTrainer:
        task = Task(self.problems, self.prompts, _reward_for_ours, sample)
        trainer = PolicyGradientTrainer(
            load_model(self.folder, "float32", "cpu"), self.tokenizer, self._arguments("ours"), self.rl, task,
            estimators.build(self.rl), None, None, 10_000, lambda step, metrics, flops: False, lambda folder: None,
        )  # fmt: skip
        return _quiet(trainer, callback)


def _quiet(trainer: Any, callback: TrainerCallback) -> Any:
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(callback)
    return trainer
