"""The questions that reinforcement learning explores, and the order in which it meets them."""

from __future__ import annotations

import random

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.resolve import has_stage
from dsm_repro.config.schema import Config
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.problemset import each_once, load_problems
from dsm_repro.rl.difficulty.band import FILE, read

#: added to ``problems.seed``: RL draws its own questions of the training split, not SFT's in SFT's order
SEED_OFFSET = 1_000


def load_questions(ctx: StageContext) -> list[Problem]:
    """The ``rl.questions`` training questions of ``problems.source``; with ``difficulty``, the first in its band.

    Raises:
        ConfigError: an unknown source, or fewer questions than one step takes.
        DataError: a jsonl file that is missing or has a line without question or answer.
    """
    config = ctx.config
    if has_stage(config, "difficulty"):
        return _in_band(ctx)
    questions = load_problems(config.problems, "rl", config.rl.questions, config.problems.seed + SEED_OFFSET)
    if len(questions) < config.rl.questions_per_step:
        raise ConfigError(
            f"rl.questions_per_step={config.rl.questions_per_step}: only {len(questions)} questions are there "
            f"(rl.questions={config.rl.questions}). Lower rl.questions_per_step or give more questions."
        )
    return questions


def candidates(config: Config) -> list[Problem]:
    """The ``difficulty.questions`` questions that are tried, each once: of the same order as RL's.

    Raises:
        ConfigError, DataError: as above.
    """
    count = config.difficulty.questions
    questions = load_problems(config.problems, "rl", count, config.problems.seed + SEED_OFFSET)
    distinct = each_once(questions)
    if len(distinct) < config.rl.questions_per_step:
        raise ConfigError(
            f"difficulty.questions={count}: {len(distinct)} questions are there, and one step explores "
            f"rl.questions_per_step={config.rl.questions_per_step} of them. Give more questions."
        )
    return distinct


def _in_band(ctx: StageContext) -> list[Problem]:
    part, needed = ctx.config.difficulty, ctx.config.rl.questions_per_step
    rates = {rate.id: rate for rate in read(ctx.parents["difficulty"])}
    tried = candidates(ctx.config)
    for question in tried:
        if question.id not in rates:
            raise DataError(
                f"{ctx.parents['difficulty'] / FILE}: has no pass rate of question {question.id!r}. Delete the "
                "artifact, and it is made again."
            )
    kept = [question for question in tried if rates[question.id].within(part.at_least, part.at_most)]
    if len(kept) < needed:
        raise ConfigError(
            f"difficulty.at_least={part.at_least}, difficulty.at_most={part.at_most}: of {len(rates)} questions with "
            f"{part.samples} answers each {len(kept)} lie between, and one step takes rl.questions_per_step={needed}. "
            "Widen the band (the same answers are used), or raise difficulty.questions."
        )
    return kept[: ctx.config.rl.questions]


def questions_of_step(count: int, per_step: int, seed: int | str, exploration: int) -> list[int]:
    """Indices of the questions of one exploration stage, a function of its arguments alone.

    Without replacement within an epoch; each epoch has its own order, and the fewer than ``per_step``
    questions left at its end wait for another epoch.
    """
    per_epoch = count // per_step
    epoch, position = divmod(exploration, per_epoch)
    order = list(range(count))
    random.Random(f"rl/questions/{seed}/{epoch}").shuffle(order)
    return order[position * per_step : (position + 1) * per_step]
