"""The stage ``evaluate``: lm-eval on the arm's last model (§2.3, §3.2; protocol in the record).

Where the stage ``rl`` left snapshots, accuracy is also traced along it: see ``curve.py``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dsm_repro.config.resolve import has_stage, model_parent, resolve_model, runs_programs
from dsm_repro.config.schema import Config
from dsm_repro.evaluation import answers, exemplars, router, suite
from dsm_repro.pipeline.cost import generation_flops
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.reasoning.answers import identity as identity_of_grading

#: seconds for one sandboxed program
PROGRAM_SECONDS = 0.02
#: problems assumed where the whole of a file is evaluated
WHOLE_SET = 1_319
#: tokens of a worked example in the prompt
SHOT_TOKENS = 300


def has_curve(config: Config) -> bool:
    """Whether accuracy is traced along the stage ``rl``."""
    return has_stage(config, "rl") and config.rl.snapshots > 0


def draws_exemplars(config: Config) -> bool:
    """Whether training problems are shown."""
    return config.evaluation.shots > 0 and not exemplars.is_fixed(config)


def parents(config: Config) -> tuple[str, ...]:
    """The model that is evaluated, and where a curve begins."""
    start = (model_parent(config, "rl"),) if has_curve(config) else ()
    return (model_parent(config, "evaluate"), *start)


def identity(config: Config) -> dict[str, Any]:
    """Tasks, decoding, grader and questions; the seed only where something is drawn."""
    evaluation = config.evaluation
    shown = draws_exemplars(config)
    drawn = evaluation.temperature > 0 or shown
    return {
        "tasks": list(evaluation.tasks),
        "modes": list(evaluation.modes),
        "problems": evaluation.problems,
        "problems_seed": evaluation.problems_seed,
        "shots": evaluation.shots,
        "max_tokens": evaluation.max_tokens,
        "temperature": evaluation.temperature,
        "top_p": evaluation.top_p if evaluation.temperature > 0 else None,
        "prompts": config.prompts,
        "source": config.problems.source,
        "exemplars_seed": config.problems.seed if shown else None,
        "dtype": config.base.dtype,
        "grader": identity_of_grading(config.grader),
        "sandbox": {
            "timeout": config.sandbox.timeout,
            "memory_mb": config.sandbox.memory_mb,
            "output_bytes": config.sandbox.output_bytes,
        }
        if runs_programs(config)
        else None,
        "seed": config.seeds.evaluate if drawn else None,
        **({"curve_problems": evaluation.curve_problems} if has_curve(config) else {}),
        **(_sampled(config) if evaluation.samples > 1 else {}),
        **({"tool": asdict(config.tool)} if "tool" in evaluation.modes else {}),
        **({"router": router.VERSION} if "router" in evaluation.modes else {}),
        **suite.identity(config),
        **({"answers": list(rules)} if (rules := answers.rules_of(config)) else {}),
        **exemplars.identity(config),
        **({"engine": evaluation.engine} if evaluation.engine != "transformers" else {}),
    }


def _sampled(config: Config) -> dict[str, Any]:
    from dsm_repro.evaluation import sampled

    return sampled.identity(config.evaluation, config.seeds.evaluate)


def inputs(config: Config) -> tuple[Any, ...]:
    """The problems. Raises ConfigError, before any work, where exemplars are test problems or are not there."""
    from dsm_repro.reasoning.benchmarks import require_disjoint
    from dsm_repro.reasoning.problemset import problem_files

    if draws_exemplars(config):
        require_disjoint(config)
    exemplars.require(config, suite.tasks_of(config))
    own = ["test"] if any(suite.is_own(config, task) for task in suite.tasks_of(config)) else []
    train = ["train"] if draws_exemplars(config) else []
    return (*problem_files(config.problems, *own, *train), *suite.files(config), *exemplars.files(config))


def estimate(config: Config) -> Estimate:
    from dsm_repro.pipeline.memory import answering
    from dsm_repro.training.planning import base_shape, prompt_tokens, shape_notes, stored

    evaluation = config.evaluation
    sizes = [suite.size_of(config, task, WHOLE_SET) for task in suite.tasks_of(config)]
    problems = sum(sizes)
    asked = problems * evaluation.samples if evaluation.samples > 1 else 0
    traced = sum(min(evaluation.curve_problems or size, size) for size in sizes) * (1 + config.rl.snapshots)
    runs = len(evaluation.modes)
    count = (problems + asked + (traced if has_curve(config) else 0)) * runs
    length = config.evaluation.max_tokens
    programs = count if runs_programs(config) else 0
    shape, greedy = base_shape(config), evaluation.temperature == 0 and evaluation.samples == 1
    flops = generation_flops(shape, 0, count * length, float(count) * length**2)
    prompt = prompt_tokens(config) + evaluation.shots * SHOT_TOKENS
    rows = min(config.execution.micro_batch, max(sizes, default=1) * evaluation.samples)
    notes = shape_notes(resolve_model(config))
    if evaluation.engine == "vllm":
        rows = 1
        notes = (
            *notes,
            "vLLM fills the memory that it is given; what is planned here is one answer at a time",
        )
    return Estimate(
        tokens=float(count * length),
        flops=flops,
        decoding_flops=flops,
        disk_bytes=problems * runs * 2_000.0,
        memory=answering(stored(config, shape), rows, prompt, length, greedy) if shape.layers else None,
        seconds=programs * PROGRAM_SECONDS,
        questions=problems,
        notes=notes,
    )


def run(ctx: StageContext) -> None:
    from dsm_repro.evaluation.run import evaluate

    parent = model_parent(ctx.config, "evaluate")
    record = evaluate(ctx, ctx.parents[parent] / "model")
    if has_curve(ctx.config):
        from dsm_repro.evaluation.curve import trace

        trace(ctx, ctx.parents[model_parent(ctx.config, "rl")], ctx.parents[parent])
    ctx.record(record)


STAGE = Stage("evaluate", 1, parents, identity, run, estimate, inputs)
