"""The questions that reinforcement learning explores, and the order in which it meets them."""

from __future__ import annotations

import random

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning.problemset import load_problems

#: added to ``problems.seed``: RL draws its own questions of the training split, not SFT's in SFT's order
SEED_OFFSET = 1_000


def load_questions(config: Config) -> list[Problem]:
    """The ``rl.questions`` training questions of ``problems.source``.

    Raises:
        ConfigError: an unknown source, or fewer questions than one step takes.
        DataError: a jsonl file that is missing or has a line without question or answer.
    """
    questions = load_problems(config.problems, "rl", config.rl.questions, config.problems.seed + SEED_OFFSET)
    if len(questions) < config.rl.questions_per_step:
        raise ConfigError(
            f"rl.questions_per_step={config.rl.questions_per_step}: only {len(questions)} questions are there "
            f"(rl.questions={config.rl.questions}). Lower rl.questions_per_step or give more questions."
        )
    return questions


def questions_of_step(count: int, per_step: int, seed: int, exploration: int) -> list[int]:
    """Indices of the questions of one exploration stage, a function of its arguments alone.

    Without replacement within an epoch; each epoch has its own order, and the fewer than ``per_step``
    questions left at its end wait for another epoch.
    """
    per_epoch = count // per_step
    epoch, position = divmod(exploration, per_epoch)
    order = list(range(count))
    random.Random(f"rl/questions/{seed}/{epoch}").shuffle(order)
    return order[position * per_step : (position + 1) * per_step]
