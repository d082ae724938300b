"""The stage ``rl``: reinforcement learning from the rule reward, §4, until the budget is spent."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dsm_repro.config.resolve import model_parent, resolve_model
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.reasoning.benchmarks import require_disjoint
from dsm_repro.reasoning.problemset import problem_files
from dsm_repro.rl import estimators


def parents(config: Config) -> tuple[str, ...]:
    return (model_parent(config, "rl"),)


def identity(config: Config) -> dict[str, Any]:
    """What changes the result: the method's own settings, the reward and its grader, questions, wording, seed."""
    estimator = estimators.build(config.rl)
    rl = asdict(config.rl)
    # those that the method uses are among its own numbers
    for knob in ("method", "options", "clip_epsilon", "kl_coefficient", "std_ddof", "std_guard"):
        rl.pop(knob)
    # by what it is, not by its name: a method that comes down to another one shares its run
    rl["method"] = type(estimator).__name__
    rl["estimator"] = estimator.identity(config.rl.updates_per_exploration)
    reward = asdict(config.reward)
    problems = asdict(config.problems)
    # about SFT solutions; evaluation; and a file that enters by its digest
    for unused in ("terse_share", "test_path", "train_path"):
        problems.pop(unused)
    return {
        "rl": rl,
        "reward": reward,
        "grader": asdict(config.grader),
        "problems": problems,
        "prompts": config.prompts,
        "seed": config.seeds.rl,
        "dtype": config.base.dtype,
    }


def inputs(config: Config) -> tuple[Path, ...]:
    """The training problems. Raises ConfigError, before any work, where test problems are among them."""
    require_disjoint(config)
    return problem_files(config.problems, "train")


def estimate(config: Config) -> Estimate:
    """FLOPs and tokens, taking completions at half their limit and prompts at a quarter of it."""
    from dsm_repro.training.planning import SAVED_BYTES, TRAINING_BYTES_PER_PARAMETER, parameters, training_flops

    rl, spec = config.rl, resolve_model(config)
    completion, prompt = rl.max_completion_length / 2, rl.max_completion_length / 4
    generated = rl.questions_per_step * rl.group_size * completion
    tokens = generated + rl.questions_per_step * prompt
    update = training_flops(spec, tokens, completion + prompt) or 0.0
    estimator = estimators.build(rl)
    critic, reference = estimator.needs_critic, estimator.needs_reference or estimator.offline
    # a forward pass is a third of an update; the rollouts cost about one, the reference one
    per_exploration = update * (1 + reference) / 3 + update * (1 + critic) * rl.updates_per_exploration
    notes = list(estimator.notes(rl))
    if rl.budget.unit == "steps":
        explorations = rl.budget.amount / rl.updates_per_exploration
        flops = per_exploration * explorations
    else:
        flops = rl.budget.amount
        explorations = flops / per_exploration if per_exploration else 0.0
        notes.append(f"stops after the step at which {flops:.3g} FLOPs are spent (about {explorations:.0f} steps)")
    size = parameters(spec) or 0
    trained = size * TRAINING_BYTES_PER_PARAMETER * (1 + critic)
    return Estimate(
        tokens=generated * explorations,
        flops=flops,
        disk_bytes=float(size * SAVED_BYTES.get(config.base.dtype, 4)),
        memory_bytes=float(trained + size * 4 * reference),
        notes=tuple(notes),
    )


def run(ctx: StageContext) -> None:
    """Train ``parents``' model and leave ``model/``, ``metrics.jsonl`` and the record."""
    runner = importlib.import_module(estimators.build(ctx.config.rl).runner)
    ctx.record(runner.train(ctx, ctx.parents[parents(ctx.config)[0]] / "model"))


STAGE = Stage(name="rl", version=2, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs)
