"""Can reinforcement learning and its reward work?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from dsm_repro.config.checks.words import at_least, betas, one_of, optimiser, positive, probability
from dsm_repro.config.generation_schema import generation_faults
from dsm_repro.config.resolve import MODEL_REWARDS, has_stage, resolve_model
from dsm_repro.config.rl_schema import BUDGET_UNITS
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MODES_OF_FORMAT


def check_rl(config: Config) -> Iterator[str]:
    part = config.rl
    if part.method == "none":
        return
    yield from one_of("rl.mode", part.mode, ("cot", "pot", "tool"))
    yield from _untaught(config)
    yield from at_least("rl.group_size", part.group_size, 1)
    for key in ("questions", "questions_per_step", "max_completion_length", "updates_per_exploration"):
        yield from at_least(f"rl.{key}", getattr(part, key), 1)
    if part.questions < part.questions_per_step:
        yield (
            f"rl.questions={part.questions}: fewer than rl.questions_per_step={part.questions_per_step}. "
            "One step takes different questions; raise rl.questions."
        )
    if not (has_stage(config, "sft") or has_stage(config, "pretrain") or resolve_model(config).path):
        yield (
            f"rl.method={part.method}: no stage before rl has seen a problem (sft.format=none, pretrain.enabled=false, "
            "a tiny base). Switch sft or pretrain on, or rl=none."
        )
    yield from positive("rl.temperature", part.temperature)
    yield from probability("rl.top_p", part.top_p, zero=False)
    yield from at_least("rl.kl_coefficient", part.kl_coefficient, 0)
    yield from positive("rl.clip_epsilon", part.clip_epsilon)
    yield from one_of("rl.std_ddof", str(part.std_ddof), ("0", "1"))
    if part.std_ddof >= part.group_size:
        yield f"rl.std_ddof={part.std_ddof}: needs rl.group_size={part.group_size} to be larger."
    yield from at_least("rl.std_guard", part.std_guard, 0)
    yield from optimiser("rl", part.learning_rate, part.weight_decay, part.max_grad_norm)
    yield from betas("rl", part.adam_beta1, part.adam_beta2)
    yield from one_of("rl.budget.unit", part.budget.unit, BUDGET_UNITS)
    yield from positive("rl.budget.amount", part.budget.amount)
    if part.budget.unit == "steps" and 0 < part.budget.amount < math.inf and part.budget.amount % 1:
        yield (
            f"rl.budget.amount={part.budget.amount:g}: rl.budget.unit=steps counts whole ones. Set "
            f"rl.budget.amount={max(1, round(part.budget.amount))}."
        )
    # preference pairs have their own batches
    if part.method != "dpo" and part.questions_per_step == part.group_size == 1:
        yield (
            f"rl.group_size={part.group_size}: with rl.questions_per_step={part.questions_per_step} a step has one "
            "completion, and TRL's trainer takes two or more. Raise one of them."
        )
    yield from at_least("rl.snapshots", part.snapshots, 0)
    how = config.execution
    yield from generation_faults(part.engine, part.mode, how.generation, how.device, how.workers)


def _untaught(config: Config) -> Iterator[str]:
    """Programs asked of a policy that has never seen one. What a published model was taught is not known here."""
    mode, taught = config.rl.mode, config.sft.format
    if mode not in ("pot", "tool") or (taught == "none" and resolve_model(config).path):
        return
    if mode not in MODES_OF_FORMAT.get(taught, ()):
        yield (
            f"rl.mode={mode}: sft.format={taught} never shows the policy an answer of this kind, and it would learn "
            f"from chance hits alone. Set sft={mode}, or rl.mode=cot."
        )


def check_difficulty(config: Config) -> Iterator[str]:
    part = config.difficulty
    yield from one_of("difficulty.method", part.method, ("none", "pass_rate"))
    if not has_stage(config, "difficulty"):
        return
    for key in ("samples", "sampling_rows"):
        yield from at_least(f"difficulty.{key}", getattr(part, key), 1)
    needed = config.rl.questions_per_step
    yield from at_least("difficulty.questions", part.questions, needed, "rl.questions_per_step of them are explored")
    yield from probability("difficulty.at_least", part.at_least)
    yield from probability("difficulty.at_most", part.at_most)
    shares = [right / part.samples for right in range(part.samples + 1)] if part.samples > 0 else []
    if shares and not any(part.at_least <= share <= part.at_most for share in shares):
        yield (
            f"difficulty.at_least={part.at_least}: between it and difficulty.at_most={part.at_most} lies no share of "
            f"difficulty.samples={part.samples} answers. Widen the band or draw more."
        )


def check_reward(config: Config) -> Iterator[str]:
    yield from one_of("reward.kind", config.reward.kind, ("rule", *MODEL_REWARDS))
    yield from probability("reward.max_ungradable", config.reward.max_ungradable)
    if config.reward.correct <= config.reward.incorrect:
        yield (
            f"reward.correct={config.reward.correct}: must be greater than "
            f"reward.incorrect={config.reward.incorrect}, or training learns to be wrong."
        )


def check_reward_model(config: Config) -> Iterator[str]:
    if not has_stage(config, "reward_model"):
        return
    if config.rl.mode != "cot":
        yield (
            f"rl.mode={config.rl.mode}: reward.kind={config.reward.kind} judges chains of thought, and its model has "
            "seen no programs. Set rl.mode=cot, or reward=rule."
        )
    part = config.reward_model
    for key in ("samples", "completions", "sampling_rows", "epochs", "batch_size"):
        yield from at_least(f"reward_model.{key}", getattr(part, key), 1)
    yield from at_least("reward_model.questions", part.questions, 2, "one is held out")
    if not 0 < part.holdout_share < 1:
        yield f"reward_model.holdout_share={part.holdout_share}: must lie between 0 and 1, both excluded."
    yield from one_of("reward_model.label", part.label, ("hard", "soft"))
    yield from positive("reward_model.temperature", part.temperature)
    yield from optimiser("reward_model", part.learning_rate, part.weight_decay, part.max_grad_norm)
    yield from betas("reward_model", part.adam_beta1, part.adam_beta2)
