"""The stage ``difficulty``: how often the model that reinforcement learning starts from solves its questions."""

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
from dsm_repro.reasoning.programs import identity_of_mode
from dsm_repro.training.available import shortage_note


def parents(config: Config) -> tuple[str, ...]:
    return (model_parent(config, "rl"),)


def identity(config: Config) -> dict[str, Any]:
    """What changes the answers and their verdicts. Not the band: it chooses among what was measured."""
    settings = asdict(config.difficulty)
    for unused in ("method", "at_least", "at_most"):
        del settings[unused]
    problems = asdict(config.problems)
    # about SFT solutions; evaluation; and files that enter by their digests
    for unused in ("terse_share", "test_path", "train_path", "rl_path"):
        del problems[unused]
    rl = config.rl
    return {
        "difficulty": settings,
        "sampling": {
            "max_completion_length": rl.max_completion_length,
            "temperature": rl.temperature,
            "top_p": rl.top_p,
            "engine": rl.engine,
        },
        "grader": answers.identity(config.grader),
        "problems": problems,
        "prompts": config.prompts,
        "seed": config.seeds.difficulty,
        "dtype": config.base.dtype,
        **identity_of_mode(config),
    }


def inputs(config: Config) -> tuple[Path, ...]:
    """RL's questions. Raises ConfigError, before any work, where test problems are among them."""
    require_disjoint(config, "rl")
    return problem_files(config.problems, "rl")


def estimate(config: Config) -> Estimate:
    """FLOPs and tokens, taking completions at half their limit and prompts at a quarter of it."""
    from dsm_repro.rl.planning import difficulty_memory
    from dsm_repro.training.planning import shape_notes, training_flops

    part, spec, limit = config.difficulty, resolve_model(config), config.rl.max_completion_length
    tokens = part.questions * part.samples * limit / 2
    # a forward pass is a third of an update
    flops = (training_flops(spec, tokens, limit * 3 / 4) or 0.0) / 3
    return Estimate(
        tokens=tokens,
        flops=flops,
        decoding_flops=flops,
        memory=difficulty_memory(config),
        notes=(*shape_notes(spec), *shortage_note(config, "rl", "difficulty.questions", config.difficulty.questions)),
    )


def run(ctx: StageContext) -> None:
    """Leave ``pass_rates.jsonl`` and the record."""
    from dsm_repro.rl.difficulty.run import measure

    measure(ctx, ctx.parents[parents(ctx.config)[0]] / "model")


def shared(config: Config) -> bool:
    """Several processes draw apart, which one server of vLLM cannot tell from each other."""
    return config.rl.engine == "transformers"


STAGE = Stage(
    name="difficulty", version=1, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs,
    shared=shared,
)  # fmt: skip
