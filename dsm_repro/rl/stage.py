"""The stage ``rl``: reinforcement learning from the rule's reward or a reward model's, §4, until a budget is spent."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.resolve import has_stage, model_parent, resolve_model, tuning_identity
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.reasoning import answers
from dsm_repro.reasoning.benchmarks import require_disjoint
from dsm_repro.reasoning.problemset import problem_files
from dsm_repro.reasoning.programs import identity_of_mode
from dsm_repro.rl import estimators
from dsm_repro.rl.difficulty.band import band
from dsm_repro.training.available import shortage_note


def parents(config: Config) -> tuple[str, ...]:
    further = (stage for stage in ("difficulty", "reward_model") if has_stage(config, stage))
    return (model_parent(config, "rl"), *further)


def identity(config: Config) -> dict[str, Any]:
    """What changes the result: the method's own settings, the reward and its grader, questions, wording, seed."""
    estimator = estimators.build(config.rl)
    _check_reward(config, estimator)
    _check_tuning(config, estimator)
    rl = asdict(config.rl)
    # those that the method uses are among its own numbers
    for knob in ("method", "options", "clip_epsilon", "kl_coefficient", "std_ddof", "std_guard"):
        rl.pop(knob)
    # by what it is, not by its name: a method that comes down to another one shares its run
    rl["method"] = type(estimator).__name__
    rl["estimator"] = estimator.identity(config.rl.updates_per_exploration)
    if estimator.attempts > 1:
        # which questions further attempts take; first ones were once spread out among them
        rl["further_attempts"] = "order of their own"
    # words alone are how every run answered before there were modes
    del rl["mode"]
    # and by the decoder of this package
    if rl["engine"] == "transformers":
        del rl["engine"]
    # and without snapshots
    if not rl["snapshots"]:
        del rl["snapshots"]
    reward = asdict(config.reward)
    if has_stage(config, "reward_model"):
        # the rule's, where a model's score takes their place
        del reward["correct"], reward["incorrect"]
    problems = asdict(config.problems)
    # about SFT solutions; evaluation; and files that enter by their digests
    for unused in ("terse_share", "test_path", "train_path", "rl_path"):
        problems.pop(unused)
    return {
        "rl": rl,
        "reward": reward,
        "grader": answers.identity(config.grader),
        "problems": problems,
        "prompts": config.prompts,
        "seed": config.seeds.rl,
        "dtype": config.base.dtype,
        **tuning_identity(config),
        **identity_of_mode(config),
        **({"band": band(config)} if has_stage(config, "difficulty") else {}),
    }


def _check_reward(config: Config, estimator: estimators.Estimator) -> None:
    if estimator.needs_steps and config.reward.kind != "process":
        raise ConfigError(
            f"reward.kind={config.reward.kind}: rl={config.rl.method} needs a reward at the end of each step (§4.1.3). "
            "Set reward=process, or rl=grpo."
        )


def _check_tuning(config: Config, estimator: estimators.Estimator) -> None:
    if config.tuning.method == "full" or (estimator.rounds == 1 and estimator.runner == estimators.Estimator.runner):
        return
    raise ConfigError(
        f"tuning.method={config.tuning.method}: rl={config.rl.method} needs a reference policy that is more than the "
        "model without its adapters, and trains all weights. Set tuning=full, or another method."
    )


def inputs(config: Config) -> tuple[Path, ...]:
    """The training problems. Raises ConfigError, before any work, where test problems are among them."""
    require_disjoint(config, "rl")
    return problem_files(config.problems, "rl")


def estimate(config: Config) -> Estimate:
    """FLOPs and tokens, taking completions at half their limit and prompts at a quarter of it."""
    from dsm_repro.rl.planning import rl_memory, rl_processes
    from dsm_repro.training.planning import (
        SAVED_BYTES,
        adapter_parameters,
        base_shape,
        parameters,
        shape_notes,
        training_flops,
    )

    rl, spec = config.rl, resolve_model(config)
    completion, prompt = rl.max_completion_length / 2, rl.max_completion_length / 4
    generated = rl.questions_per_step * rl.group_size * completion
    tokens = generated + rl.questions_per_step * prompt
    adapters = adapter_parameters(base_shape(config), config.tuning)
    update = training_flops(spec, tokens, completion + prompt, adapters) or 0.0
    estimator = estimators.build(rl)
    critic, reference = estimator.needs_critic, estimator.needs_reference or estimator.offline
    reward_model = has_stage(config, "reward_model")
    # a forward pass is a third of an update; the rollouts cost about one, the reference one, the reward model one
    per_exploration = update * (1 + reference + reward_model) / 3 + update * (1 + critic) * rl.updates_per_exploration
    asked = () if has_stage(config, "difficulty") else shortage_note(config, "rl", "rl.questions", rl.questions)
    notes = [*estimator.notes(rl), *asked]
    explorations, seconds = _explorations(config, per_exploration, generated), 0.0
    flops = per_exploration * explorations
    if rl.budget.unit == "seconds":
        flops, seconds = 0.0, float(rl.budget.amount)
        notes.append(
            f"stops after the step at which {seconds:g} s are over: how far that is depends on the machine, and the "
            "result is not deterministic; its FLOPs and tokens are not estimated"
        )
    elif rl.budget.unit != "steps":
        what = {"flops": "FLOPs are spent", "tokens": "tokens are generated"}[rl.budget.unit]
        steps = explorations * rl.updates_per_exploration
        notes.append(f"stops after the step at which {rl.budget.amount:.3g} {what} (about {steps:.0f} steps)")
    size = parameters(spec) or 0
    return Estimate(
        tokens=generated * explorations,
        flops=flops,
        decoding_flops=update / 3 * explorations if flops else 0.0,
        disk_bytes=float(size * SAVED_BYTES.get(config.base.dtype, 4) * (1 + rl.snapshots)),
        memory=rl_memory(config, estimator),
        devices=rl_processes(config, estimator),
        seconds=seconds,
        notes=(*notes, *shape_notes(spec)),
    )


def _explorations(config: Config, flops: float, tokens: float) -> float:
    """Exploration stages in the budget, from what one costs; 0 where that is not known."""
    budget, updates = config.rl.budget, config.rl.updates_per_exploration
    each = {"flops": flops, "tokens": tokens, "seconds": 0.0, "steps": float(updates)}[budget.unit]
    return budget.amount / each if each else 0.0


def run(ctx: StageContext) -> None:
    """Train ``parents``' model and leave ``model/``, ``metrics.jsonl`` and the record."""
    runner = importlib.import_module(estimators.build(ctx.config.rl).runner)
    ctx.record(runner.train(ctx, ctx.parents[parents(ctx.config)[0]] / "model"))


def shared(config: Config) -> bool:
    """Preference pairs (rl=dpo) are learned from in one process."""
    return config.rl.method != "dpo"


STAGE = Stage(
    name="rl", version=3, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs, shared=shared
)
