"""Cross-field checks, before any compute: each message names the key, the value and the fix.

One small function per subject; a check yields the messages of what cannot work. Checks import
nothing heavy and ask nothing of the disk: whether files are there is in ``config.files``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

from dsm_repro.config.compose import Sweep
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.factor import under
from dsm_repro.config.files import missing_files
from dsm_repro.config.gate import gate_faults
from dsm_repro.config.generation_schema import generation_faults
from dsm_repro.config.resolve import (
    CURATION,
    MODEL_REWARDS,
    STAGE_ORDER,
    has_stage,
    resolve_model,
    resolve_source,
    text_phases,
    training_tokens,
)
from dsm_repro.config.schema import TRACKERS, Config, PretrainConfig, TinyModelConfig
from dsm_repro.config.sharing import sharing_faults
from dsm_repro.config.sweep_schema import ComparisonConfig, metric_at_k, recorded_ks
from dsm_repro.config.tuning import tuning_faults

Check = Callable[[Config], Iterator[str]]

READERS = ("miniature", "warc", "wet", "html", "parquet", "jsonl", "hf")
ANSWER_MODES = ("cot", "pot", "tool", "hybrid", "router")
FEW_SHOT_MODES = ("cot", "pot")
SOURCE_KINDS = ("corpus", "miniature", "jsonl", "hf")
#: 256 bytes and the tokenizer's special tokens
SMALLEST_VOCABULARY = 260
#: binomial coefficients of more do not fit a float
MOST_SAMPLES = 1_024
#: how far from 1 a sum of shares may be
SHARE_TOLERANCE = 1e-6


def _one_of(key: str, value: object, known: tuple[str, ...]) -> Iterator[str]:
    if value not in known:
        yield f"{key}={value}: unknown. Use one of {', '.join(known)}."


def _at_least(key: str, value: float, least: float, why: str = "") -> Iterator[str]:
    if not value >= least:
        yield f"{key}={value}: must be at least {least}{' (' + why + ')' if why else ''}."


def _positive(key: str, value: float) -> Iterator[str]:
    if not (value > 0 and math.isfinite(value)):
        yield f"{key}={value}: must be greater than 0."


def _probability(key: str, value: float, zero: bool = True) -> Iterator[str]:
    if not (0 <= value <= 1 if zero else 0 < value <= 1):
        yield f"{key}={value}: must lie in {'[' if zero else '('}0, 1]."


def check_until(config: Config) -> Iterator[str]:
    if config.until is None:
        return
    yield from _one_of("until", config.until, STAGE_ORDER)
    if config.until in STAGE_ORDER and not has_stage(config, config.until):
        yield f"until={config.until}: this arm has no such stage. Switch the stage on, or choose an earlier one."


def check_corpus(config: Config) -> Iterator[str]:
    corpus = config.corpus
    yield from _one_of("corpus.reader", corpus.reader, READERS)
    if corpus.reader in READERS and corpus.reader != "miniature" and not corpus.paths:
        yield f"corpus.paths=[]: corpus.reader={corpus.reader} needs files. Set corpus.paths=[FILE,...] (globs work)."
    yield from _at_least("corpus.top_tokens", corpus.top_tokens, 1)
    yield from _at_least("corpus.rounds", corpus.rounds, 1)
    if not corpus.volumes:
        yield "corpus.volumes=[]: give at least one share of corpus.top_tokens; [1.0] is all of it in every round."
    for volume in corpus.volumes:
        yield from _probability("corpus.volumes", volume, zero=False)
    yield from _probability("corpus.domain_threshold", corpus.domain_threshold)
    yield from _probability("corpus.stop_overlap", corpus.stop_overlap)
    yield from _one_of("corpus.review", corpus.review, ("auto", "file"))
    if corpus.review == "file" and not corpus.review_file:
        yield "corpus.review_file: empty. Name the file in which URL paths are reviewed, or set corpus.review=auto."
    yield from _probability("corpus.auto_accept_share", corpus.auto_accept_share)
    for code in corpus.languages:
        if not (len(code) == 2 and code.isascii() and code.islower()):
            yield f"corpus.languages: {code!r} is no ISO 639-1 code. Use codes such as en and zh."
    yield from _at_least("corpus.extraction.max_page_bytes", corpus.extraction.max_page_bytes, 1_000)
    yield from _at_least("corpus.extraction.max_depth", corpus.extraction.max_depth, 10)
    yield from _positive("corpus.extraction.max_seconds", corpus.extraction.max_seconds)
    yield from _one_of("corpus.minhash.signer", corpus.minhash.signer, ("datasketch", "rensa"))
    yield from _probability("corpus.minhash.jaccard", corpus.minhash.jaccard)
    for key in ("bands", "rows", "ngram"):
        yield from _at_least(f"corpus.minhash.{key}", getattr(corpus.minhash, key), 1)
    yield from _probability("corpus.classifier.holdout_share", corpus.classifier.holdout_share)
    for key in ("dim", "word_ngrams", "min_count", "epochs", "bucket", "threads", "positives", "negatives"):
        yield from _at_least(f"corpus.classifier.{key}", getattr(corpus.classifier, key), 1)
    gram = corpus.decontamination
    if not 1 <= gram.min_ngram <= gram.ngram:
        yield (
            f"corpus.decontamination.min_ngram={gram.min_ngram}: must lie between 1 and "
            f"corpus.decontamination.ngram={gram.ngram}."
        )
    for key in ("leak_share", "exact_duplicate_share", "near_duplicate_share"):
        yield from _probability(f"corpus.web.{key}", getattr(corpus.web, key))


def check_base(config: Config) -> Iterator[str]:
    try:
        spec = resolve_model(config)
    except ConfigError as error:
        yield str(error)
        return
    key = f"scale.models.{config.base.role}"
    if spec.path is None and spec.tiny is None:
        yield f"{key}: neither path nor tiny is set. Give a model's path, or a tiny model to train."
    if spec.path is None and spec.tiny is not None:
        yield from _tiny(f"{key}.tiny", spec.tiny)
        if spec.tiny.context_length < config.pretrain.sequence_length and config.pretrain.enabled:
            yield (
                f"pretrain.sequence_length={config.pretrain.sequence_length}: longer than "
                f"{key}.tiny.context_length={spec.tiny.context_length}. Lower it, or raise the context length."
            )


def _tiny(key: str, tiny: TinyModelConfig) -> Iterator[str]:
    if tiny.heads < 1 or tiny.hidden_size % tiny.heads:
        yield (
            f"{key}.hidden_size={tiny.hidden_size}: not divisible by {key}.heads={tiny.heads}. "
            "Each head takes an equal part; choose a multiple."
        )
    elif (tiny.hidden_size // tiny.heads) % 2:
        yield (
            f"{key}.hidden_size={tiny.hidden_size}: {tiny.hidden_size // tiny.heads} dimensions for each of "
            f"{key}.heads={tiny.heads}; rotary positions need an even number."
        )
    yield from _at_least(f"{key}.vocab_size", tiny.vocab_size, SMALLEST_VOCABULARY, "256 bytes and the special tokens")
    yield from _at_least(f"{key}.layers", tiny.layers, 1)
    yield from _at_least(f"{key}.context_length", tiny.context_length, 8)
    yield from _shares(f"{key}.text", tiny.text)
    yield from _positive(f"{key}.learning_rate", tiny.learning_rate)
    yield from _at_least(f"{key}.batch_tokens", tiny.batch_tokens, tiny.context_length, "one sequence")


def _shares(key: str, weights: dict[str, float]) -> Iterator[str]:
    for name, weight in weights.items():
        yield from _positive(f"{key}.{name}", weight)
    total = math.fsum(weights.values())
    if abs(total - 1) > SHARE_TOLERANCE:
        yield f"{key}: the shares {dict(weights)} sum to {total:g}, not 1. Change them so that they do."


def check_pretrain(config: Config) -> Iterator[str]:
    phases = text_phases(config)
    if not phases:
        return
    for section, phase in phases:
        yield from _check_mix(section, phase)
    part = config.pretrain
    yield from _at_least("pretrain.sequence_length", part.sequence_length, 2)
    yield from _at_least("pretrain.batch_tokens", part.batch_tokens, part.sequence_length, "one sequence")
    yield from _at_least("pretrain.warmup_steps", part.warmup_steps, 0)
    yield from _positive("pretrain.max_epochs", part.max_epochs)
    yield from _optimiser("pretrain", part.peak_learning_rate, part.weight_decay, part.max_grad_norm, "peak_")
    yield from _betas("pretrain", part.adam_beta1, part.adam_beta2)
    yield from _check_decay(part)


def _check_mix(section: str, phase: Config) -> Iterator[str]:
    mix = phase.mix
    yield from _shares(f"{section}.weights", mix.weights)
    for name in mix.weights:
        try:
            source = resolve_source(phase, name)
        except ConfigError as error:
            yield str(error)
            continue
        key = f"scale.sources.{name}"
        yield from _one_of(f"{key}.kind", source.kind, SOURCE_KINDS)
        if source.kind != "corpus" and not source.name:
            what = {"miniature": "kind of text", "hf": "data set", "jsonl": "files"}.get(source.kind, "data")
            yield f"{key}.name: empty. Name the {what}."
    yield from _positive(f"{section}.math_tokens_factor", mix.math_tokens_factor)
    yield from _positive(f"{section}.tokens_factor", mix.tokens_factor)
    yield from _at_least("pretrain.tokens", training_tokens(phase), phase.pretrain.batch_tokens, "one batch")


def _check_decay(part: PretrainConfig) -> Iterator[str]:
    if len(part.decay_at) != len(part.decay_to):
        yield (
            f"pretrain.decay_at={list(part.decay_at)}: {len(part.decay_at)} steps, but pretrain.decay_to="
            f"{list(part.decay_to)} has {len(part.decay_to)}. Give one factor for each step."
        )
    inside = all(0 < at < 1 for at in part.decay_at)
    if not inside or any(a >= b for a, b in pairwise(part.decay_at)):
        yield f"pretrain.decay_at={list(part.decay_at)}: must be increasing fractions of training between 0 and 1."
    for factor in part.decay_to:
        yield from _probability("pretrain.decay_to", factor)


def _optimiser(key: str, rate: float, decay: float, norm: float, prefix: str = "") -> Iterator[str]:
    yield from _positive(f"{key}.{prefix}learning_rate", rate)
    yield from _at_least(f"{key}.weight_decay", decay, 0)
    yield from _positive(f"{key}.max_grad_norm", norm)


def _betas(key: str, beta1: float, beta2: float) -> Iterator[str]:
    for name, beta in (("adam_beta1", beta1), ("adam_beta2", beta2)):
        if not 0 <= beta < 1:
            yield f"{key}.{name}={beta}: must lie in [0, 1)."


def check_problems(config: Config) -> Iterator[str]:
    yield from _one_of("problems.source", config.problems.source, ("miniature", "jsonl"))
    yield from _one_of("prompts", config.prompts, ("miniature", "release", "smollm2"))
    yield from _probability("problems.terse_share", config.problems.terse_share)


def check_sft(config: Config) -> Iterator[str]:
    part = config.sft
    yield from _one_of("sft.format", part.format, ("cot", "pot", "tool", "both", "hybrid", "given", "none"))
    if part.format == "none":
        return
    for key in ("examples", "steps", "batch_size", "max_length"):
        yield from _at_least(f"sft.{key}", getattr(part, key), 1)
    yield from _at_least("sft.warmup_steps", part.warmup_steps, 0)
    yield from _optimiser("sft", part.learning_rate, part.weight_decay, part.max_grad_norm)


def check_rl(config: Config) -> Iterator[str]:
    part = config.rl
    if part.method == "none":
        return
    yield from _one_of("rl.mode", part.mode, ("cot", "pot", "tool"))
    yield from _untaught(config)
    yield from _at_least("rl.group_size", part.group_size, 1)
    for key in ("questions", "questions_per_step", "max_completion_length", "updates_per_exploration"):
        yield from _at_least(f"rl.{key}", getattr(part, key), 1)
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
    yield from _positive("rl.temperature", part.temperature)
    yield from _probability("rl.top_p", part.top_p, zero=False)
    yield from _at_least("rl.kl_coefficient", part.kl_coefficient, 0)
    yield from _positive("rl.clip_epsilon", part.clip_epsilon)
    yield from _one_of("rl.std_ddof", str(part.std_ddof), ("0", "1"))
    if part.std_ddof >= part.group_size:
        yield f"rl.std_ddof={part.std_ddof}: needs rl.group_size={part.group_size} to be larger."
    yield from _at_least("rl.std_guard", part.std_guard, 0)
    yield from _optimiser("rl", part.learning_rate, part.weight_decay, part.max_grad_norm)
    yield from _betas("rl", part.adam_beta1, part.adam_beta2)
    yield from _one_of("rl.budget.unit", part.budget.unit, ("flops", "tokens", "seconds", "steps"))
    yield from _positive("rl.budget.amount", part.budget.amount)
    yield from _at_least("rl.snapshots", part.snapshots, 0)
    how = config.execution
    yield from generation_faults(part.engine, part.mode, how.generation, how.device, how.workers)


def _untaught(config: Config) -> Iterator[str]:
    """Programs asked of a policy that has never seen one. What a published model was taught is not known here."""
    mode, taught = config.rl.mode, config.sft.format
    if mode not in ("pot", "tool") or (taught == "none" and resolve_model(config).path):
        return
    if taught not in ((mode, "both", "hybrid", "given") if mode == "pot" else (mode,)):
        yield (
            f"rl.mode={mode}: sft.format={taught} never shows the policy an answer of this kind, and it would learn "
            f"from chance hits alone. Set sft={mode}, or rl.mode=cot."
        )


def check_reward(config: Config) -> Iterator[str]:
    yield from _one_of("reward.kind", config.reward.kind, ("rule", *MODEL_REWARDS))
    yield from _probability("reward.max_ungradable", config.reward.max_ungradable)
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
        yield from _at_least(f"reward_model.{key}", getattr(part, key), 1)
    yield from _at_least("reward_model.questions", part.questions, 2, "one is held out")
    if not 0 < part.holdout_share < 1:
        yield f"reward_model.holdout_share={part.holdout_share}: must lie between 0 and 1, both excluded."
    yield from _one_of("reward_model.label", part.label, ("hard", "soft"))
    yield from _positive("reward_model.temperature", part.temperature)
    yield from _optimiser("reward_model", part.learning_rate, part.weight_decay, part.max_grad_norm)
    yield from _betas("reward_model", part.adam_beta1, part.adam_beta2)


def check_evaluation(config: Config) -> Iterator[str]:
    part = config.evaluation
    if not part.tasks:
        yield "evaluation.tasks=[]: nothing to evaluate. Name at least one task."
    if not part.modes:
        yield f"evaluation.modes=[]: nothing to evaluate. Use one or more of {', '.join(ANSWER_MODES)}."
    for mode in part.modes:
        yield from _one_of("evaluation.modes", mode, ANSWER_MODES)
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
    yield from _one_of("evaluation.engine", part.engine, ("transformers", "hf", "vllm"))
    if part.engine != "transformers" and "tool" in part.modes and config.prompts != "release":
        yield (
            f"evaluation.engine={part.engine}: it does not tell whether a text ended in a call of the tool, and "
            f"prompts={config.prompts} has no fences to see it by. Set prompts=release, or "
            "evaluation.engine=transformers."
        )
    if part.problems is None and config.problems.source == "miniature" and "miniature" in part.tasks:
        yield "evaluation.problems=null: the miniature has no whole test set. Give a number."
    if part.problems is not None:
        yield from _at_least("evaluation.problems", part.problems, 1)
    if part.curve_problems is not None:
        yield from _at_least("evaluation.curve_problems", part.curve_problems, 1)
    yield from _at_least("evaluation.shots", part.shots, 0)
    yield from _at_least("evaluation.max_tokens", part.max_tokens, 1)
    yield from _at_least("evaluation.temperature", part.temperature, 0)
    yield from _probability("evaluation.top_p", part.top_p, zero=False)
    yield from _at_least("evaluation.samples", part.samples, 1)
    if part.samples > MOST_SAMPLES:
        yield f"evaluation.samples={part.samples}: Maj@K is computed for at most {MOST_SAMPLES}. Lower it."
    if part.samples > 1 and not part.sample_temperature > 0:
        yield (
            f"evaluation.sample_temperature={part.sample_temperature:g}: all evaluation.samples={part.samples} answers "
            "to a problem would be the same. Set it above 0 (the paper: 0.7), or evaluation.samples=1."
        )
    yield from _probability("evaluation.sample_top_p", part.sample_top_p, zero=False)


def check_sandbox_and_grader(config: Config) -> Iterator[str]:
    yield from _one_of("sandbox.backend", config.sandbox.backend, ("auto", "bwrap", "userns", "sandlock", "subprocess"))
    if config.sandbox.backend == "subprocess" and not config.sandbox.allow_unsandboxed:
        yield (
            "sandbox.backend=subprocess: a plain subprocess does not isolate a hostile program. "
            "Use sandbox.backend=auto, or accept the risk with sandbox.allow_unsandboxed=true."
        )
    yield from _positive("sandbox.timeout", config.sandbox.timeout)
    yield from _at_least("sandbox.memory_mb", config.sandbox.memory_mb, 32, "Python alone needs that")
    yield from _at_least("sandbox.output_bytes", config.sandbox.output_bytes, 1)
    yield from _at_least("tool.rounds", config.tool.rounds, 1)
    yield from _at_least("tool.output_characters", config.tool.output_characters, 2)
    yield from _one_of("grader.name", config.grader.name, ("math_verify", "deepseek", "minerva", "hendrycks"))
    yield from _positive("grader.timeout", config.grader.timeout)


def check_execution(config: Config) -> Iterator[str]:
    part = config.execution
    if part.workers is not None:
        yield from _at_least("execution.workers", part.workers, 1)
    yield from _at_least("execution.micro_batch", part.micro_batch, 1)
    yield from _positive("execution.checkpoint_seconds", part.checkpoint_seconds)
    for name in ("memory_bytes", "peak_flops", "utilisation", "decoding_utilisation"):
        value = getattr(part.hardware, name)
        if value is not None:
            yield from _positive(f"execution.hardware.{name}", value)
    yield from _one_of("execution.shards.runner", part.shards.runner, ("pool", "datatrove"))
    yield from _one_of("execution.shards.executor", part.shards.executor, ("local", "slurm", "ray"))
    yield from _at_least("execution.shards.shard_bytes", part.shards.shard_bytes, 1)
    yield from _at_least("execution.shards.memory_bytes", part.shards.memory_bytes, 1_000_000, "one megabyte")
    yield from _one_of("tracker.name", config.tracker.name, TRACKERS)


CHECKS: tuple[Check, ...] = (
    check_until,
    check_corpus,
    check_base,
    check_pretrain,
    gate_faults,
    check_problems,
    check_sft,
    tuning_faults,
    check_rl,
    check_reward,
    check_reward_model,
    check_evaluation,
    check_sandbox_and_grader,
    check_execution,
    sharing_faults,
)

#: curation alone (``until=crawl``, ``until=corpus``) asks for no model and no problems
CORPUS_ONLY: tuple[Check, ...] = (check_until, check_corpus, check_execution)


def faults(config: Config) -> list[str]:
    """What in the config itself cannot work: the messages of every check, in order."""
    return [message for check in (CORPUS_ONLY if config.until in CURATION else CHECKS) for message in check(config)]


def validate(config: Config) -> None:
    """Raise ConfigError with one line per fault or missing file."""
    found = faults(config) or missing_files(config)
    if found:
        raise ConfigError("\n".join(found))


def validate_sweep(sweep: Sweep) -> None:
    """Check each arm once (replicates differ in seeds only), and that comparisons name arms that exist.

    Whether files are there is another question (``config.files``): a plan can be made without them.
    """
    arms = sweep.first_of_each()
    for arm in arms:
        found = faults(arm.config)
        if found:
            where = f"arm {arm.name}: " if len(arms) > 1 else ""
            raise ConfigError("\n".join(where + message for message in found))
    names = [arm.name for arm in arms]
    for comparison in sweep.claim.comparisons:
        for name in (comparison.a, comparison.b):
            if name not in names:
                raise ConfigError(
                    f"sweep.comparisons: {name!r} is not an arm of sweep={sweep.name}. Use one of {', '.join(names)}."
                )
        for arm in arms:
            if arm.name in (comparison.a, comparison.b):
                _check_metric(comparison.metric, arm.name, arm.config.evaluation.samples)
        _check_modes(sweep, comparison, {arm.name: arm.config for arm in arms})
        if comparison.expect not in ("a_greater", "b_greater", "a_not_greater", "none"):
            raise ConfigError(
                f"sweep.comparisons.expect={comparison.expect}: unknown. "
                "Use a_greater, b_greater, a_not_greater or none."
            )
        if (comparison.expect == "a_not_greater") != (comparison.margin > 0):
            raise ConfigError(
                f"sweep.comparisons: {comparison.a} against {comparison.b} has expect={comparison.expect} and "
                f"margin={comparison.margin:g}. expect=a_not_greater needs a margin above 0 (points that count as no "
                "gain); no other expectation takes one."
            )


def _check_modes(sweep: Sweep, comparison: ComparisonConfig, configs: dict[str, Config]) -> None:
    """Raise ConfigError for a mode that an arm is not evaluated in, and for two modes that are not the factor."""
    mode_b = comparison.mode_b or comparison.mode
    if mode_b != comparison.mode and not under("evaluation.modes", sweep.claim.factor.split(",")):
        raise ConfigError(
            f"sweep.comparisons.mode_b={mode_b}: {comparison.a} would be compared in mode {comparison.mode}, but "
            f"sweep.factor={sweep.claim.factor}. Two modes are compared only where they are the factor: declare "
            "evaluation.modes, or leave mode_b out."
        )
    for key, name, mode in (("mode", comparison.a, comparison.mode), ("mode_b", comparison.b, mode_b)):
        modes = configs[name].evaluation.modes
        if mode not in modes:
            raise ConfigError(
                f"sweep.comparisons.{key}={mode}: arm {name} is not evaluated in it (evaluation.modes={list(modes)}). "
                "Name one of its modes, or add this one."
            )


def _check_metric(metric: str, arm: str, samples: int) -> None:
    """Raise ConfigError for a metric that does not exist, or that the arm's evaluation does not record."""
    if metric == "accuracy":
        return
    wanted = f"sweep.comparisons.metric={metric}"
    found = metric_at_k(metric)
    if found is None:
        raise ConfigError(f"{wanted}: unknown. Use accuracy, maj@K or pass@K with a number for K, as in maj@32.")
    k = found[1]
    if k > samples:
        fewer = "draws no answers" if samples == 1 else f"draws only {samples} answers"
        raise ConfigError(
            f"{wanted}: arm {arm} {fewer} to each problem (evaluation.samples={samples}). "
            f"Set evaluation.samples ≥ {k}, or a smaller K."
        )
    if samples == 1:
        raise ConfigError(f"{wanted}: arm {arm} draws no answers (evaluation.samples=1). Set evaluation=sampled.")
    if k not in recorded_ks(samples):
        known = ", ".join(map(str, recorded_ks(samples)))
        raise ConfigError(f"{wanted}: K={k} is not recorded for evaluation.samples={samples}. Use one of {known}.")
