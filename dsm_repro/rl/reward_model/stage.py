"""The stage ``reward_model`` (§4.2): the base model learns to judge what the fine-tuned one writes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dsm_repro.config.resolve import model_parent, resolve_model
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.reasoning import answers
from dsm_repro.reasoning.benchmarks import require_disjoint
from dsm_repro.reasoning.problemset import problem_files
from dsm_repro.training.available import shortage_note
from dsm_repro.training.planning import training_estimate, training_flops

#: steps of a solution that are completed, for the plan; the last one is not
INNER_STEPS = 2
#: numbers that only process labels use
PROCESS_ONLY = ("completions", "label")


def starts_from(config: Config) -> str:
    """The stage before fine-tuning: DeepSeekMath-Base in the paper."""
    return model_parent(config, "sft")


def completer(config: Config) -> str:
    """The stage whose model writes and completes the solutions: the one that RL starts from."""
    return model_parent(config, "rl")


def parents(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys((starts_from(config), completer(config))))


def identity(config: Config) -> dict[str, Any]:
    settings = asdict(config.reward_model)
    if config.reward.kind != "process":
        for unused in PROCESS_ONLY:
            del settings[unused]
    problems = asdict(config.problems)
    # about SFT solutions; evaluation; RL's own questions; and a file that enters by its digest
    for unused in ("terse_share", "test_path", "rl_path", "train_path"):
        del problems[unused]
    return {
        "kind": config.reward.kind,
        "reward_model": settings,
        "sampling": {"max_completion_length": config.rl.max_completion_length, "top_p": config.rl.top_p},
        "grader": answers.identity(config.grader),
        "problems": problems,
        "prompts": config.prompts,
        "seed": config.seeds.reward_model,
        "dtype": config.base.dtype,
    }


def inputs(config: Config) -> tuple[Path, ...]:
    """The training problems. Raises ConfigError, before any work, where test problems are among them."""
    require_disjoint(config)
    return problem_files(config.problems, "train")


def estimate(config: Config) -> Estimate:
    """FLOPs and tokens, taking completions at half their limit, prompts at a quarter, and steps as equally long."""
    from dsm_repro.rl.planning import reward_model_memory

    c, spec = config.reward_model, resolve_model(config)
    completion, prompt = config.rl.max_completion_length / 2, config.rl.max_completion_length / 4
    solutions = c.questions * c.samples
    generated = solutions * completion
    continued = 0.0
    if config.reward.kind == "process":
        continued = solutions * INNER_STEPS * c.completions * completion / 2
    trained = solutions * (1 - c.holdout_share) * c.epochs * (completion + prompt)
    length = completion + prompt
    # a forward pass is a third of an update, and decoding costs about one
    drawing = (training_flops(spec, generated + continued, length) or 0.0) / 3
    base = training_estimate(config, trained, length)
    notes = () if continued == 0 else (f"each step is completed {c.completions} times: {INNER_STEPS} steps assumed",)
    return Estimate(
        tokens=trained + generated + continued,
        flops=base.flops + drawing,
        decoding_flops=drawing,
        disk_bytes=base.disk_bytes,
        memory=reward_model_memory(config),
        notes=(*base.notes, *notes, *shortage_note(config, "train", "reward_model.questions", c.questions)),
    )


def run(ctx: StageContext) -> None:
    """Leave ``model/``, ``labels.jsonl``, ``metrics.jsonl`` and the record."""
    from dsm_repro.rl.reward_model.run import build

    build(ctx, ctx.parents[starts_from(ctx.config)] / "model", ctx.parents[completer(ctx.config)] / "model")


STAGE = Stage(
    name="reward_model", version=1, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs,
    shared=lambda config: True,
)  # fmt: skip
