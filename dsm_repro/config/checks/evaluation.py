"""Can the arm be evaluated, and its answers judged?"""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.checks.words import at_least, one_of, positive, probability
from dsm_repro.config.schema import Config

ANSWER_MODES = ("cot", "pot", "tool", "hybrid", "router")


FEW_SHOT_MODES = ("cot", "pot")


#: binomial coefficients of more do not fit a float
MOST_SAMPLES = 1_024


def check_evaluation(config: Config) -> Iterator[str]:
    part = config.evaluation
    if not part.tasks:
        yield "evaluation.tasks=[]: nothing to evaluate. Name at least one task."
    if not part.modes:
        yield f"evaluation.modes=[]: nothing to evaluate. Use one or more of {', '.join(ANSWER_MODES)}."
    for mode in part.modes:
        yield from one_of("evaluation.modes", mode, ANSWER_MODES)
    zero_shot = [mode for mode in part.modes if mode in ANSWER_MODES and mode not in FEW_SHOT_MODES]
    if part.shots and zero_shot:
        yield (
            f"evaluation.shots={part.shots}: exemplars are made for {' and '.join(FEW_SHOT_MODES)} alone, as in the "
            f"release. Set evaluation.shots=0, or leave {', '.join(zero_shot)} out of evaluation.modes."
        )
    if len(set(part.modes)) < len(part.modes):
        yield f"evaluation.modes={list(part.modes)}: the same mode twice. Name each once."
    if part.exemplars != "train" and not part.shots:
        yield f"evaluation.exemplars={part.exemplars}: none is shown with evaluation.shots=0. Set evaluation.shots ≥ 1."
    yield from one_of("evaluation.engine", part.engine, ("transformers", "hf", "vllm"))
    if part.engine != "transformers" and "tool" in part.modes and config.prompts != "release":
        yield (
            f"evaluation.engine={part.engine}: it does not tell whether a text ended in a call of the tool, and "
            f"prompts={config.prompts} has no fences to see it by. Set prompts=release, or "
            "evaluation.engine=transformers."
        )
    if part.problems is None and config.problems.source == "miniature" and "miniature" in part.tasks:
        yield "evaluation.problems=null: the miniature has no whole test set. Give a number."
    if part.problems is not None:
        yield from at_least("evaluation.problems", part.problems, 1)
    if part.curve_problems is not None:
        yield from at_least("evaluation.curve_problems", part.curve_problems, 1)
    yield from at_least("evaluation.shots", part.shots, 0)
    yield from at_least("evaluation.max_tokens", part.max_tokens, 1)
    yield from at_least("evaluation.temperature", part.temperature, 0)
    yield from probability("evaluation.top_p", part.top_p, zero=False)
    yield from at_least("evaluation.samples", part.samples, 1)
    if part.samples > MOST_SAMPLES:
        yield f"evaluation.samples={part.samples}: Maj@K is computed for at most {MOST_SAMPLES}. Lower it."
    if part.samples > 1 and not part.sample_temperature > 0:
        yield (
            f"evaluation.sample_temperature={part.sample_temperature:g}: all evaluation.samples={part.samples} answers "
            "to a problem would be the same. Set it above 0 (the paper: 0.7), or evaluation.samples=1."
        )
    yield from probability("evaluation.sample_top_p", part.sample_top_p, zero=False)


def check_sandbox_and_grader(config: Config) -> Iterator[str]:
    yield from one_of("sandbox.backend", config.sandbox.backend, ("auto", "bwrap", "userns", "sandlock", "subprocess"))
    if config.sandbox.backend == "subprocess" and not config.sandbox.allow_unsandboxed:
        yield (
            "sandbox.backend=subprocess: a plain subprocess does not isolate a hostile program. "
            "Use sandbox.backend=auto, or accept the risk with sandbox.allow_unsandboxed=true."
        )
    yield from positive("sandbox.timeout", config.sandbox.timeout)
    yield from at_least("sandbox.memory_mb", config.sandbox.memory_mb, 32, "Python alone needs that")
    yield from at_least("sandbox.output_bytes", config.sandbox.output_bytes, 1)
    yield from at_least("tool.rounds", config.tool.rounds, 1)
    yield from at_least("tool.output_characters", config.tool.output_characters, 2)
    yield from one_of("grader.name", config.grader.name, ("math_verify", "deepseek", "minerva", "hendrycks"))
    yield from positive("grader.timeout", config.grader.timeout)
