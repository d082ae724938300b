"""Can base models, pre-training and fine-tuning work?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from dsm_repro.config.checks.words import at_least, betas, one_of, optimiser, positive, probability, shares
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import TinyModelConfig
from dsm_repro.config.resolve import resolve_model, resolve_source, text_phases, training_tokens
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MODES_OF_FORMAT, PretrainConfig

SOURCE_KINDS = ("corpus", "miniature", "jsonl", "hf")


#: 256 bytes and the tokenizer's special tokens
SMALLEST_VOCABULARY = 260


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
    yield from at_least(f"{key}.vocab_size", tiny.vocab_size, SMALLEST_VOCABULARY, "256 bytes and the special tokens")
    yield from at_least(f"{key}.layers", tiny.layers, 1)
    yield from at_least(f"{key}.context_length", tiny.context_length, 8)
    yield from shares(f"{key}.text", tiny.text)
    yield from positive(f"{key}.learning_rate", tiny.learning_rate)
    yield from at_least(f"{key}.batch_tokens", tiny.batch_tokens, tiny.context_length, "one sequence")


def check_pretrain(config: Config) -> Iterator[str]:
    phases = text_phases(config)
    if not phases:
        return
    for section, phase in phases:
        yield from _check_mix(section, phase)
    part = config.pretrain
    yield from at_least("pretrain.sequence_length", part.sequence_length, 2)
    yield from at_least("pretrain.batch_tokens", part.batch_tokens, part.sequence_length, "one sequence")
    yield from at_least("pretrain.warmup_steps", part.warmup_steps, 0)
    yield from positive("pretrain.max_epochs", part.max_epochs)
    yield from optimiser("pretrain", part.peak_learning_rate, part.weight_decay, part.max_grad_norm, "peak_")
    yield from betas("pretrain", part.adam_beta1, part.adam_beta2)
    yield from _check_decay(part)


def _check_mix(section: str, phase: Config) -> Iterator[str]:
    mix = phase.mix
    yield from shares(f"{section}.weights", mix.weights)
    for name in mix.weights:
        try:
            source = resolve_source(phase, name)
        except ConfigError as error:
            yield str(error)
            continue
        key = f"scale.sources.{name}"
        yield from one_of(f"{key}.kind", source.kind, SOURCE_KINDS)
        if source.kind != "corpus" and not source.name:
            what = {"miniature": "kind of text", "hf": "data set", "jsonl": "files"}.get(source.kind, "data")
            yield f"{key}.name: empty. Name the {what}."
    yield from positive(f"{section}.math_tokens_factor", mix.math_tokens_factor)
    yield from positive(f"{section}.tokens_factor", mix.tokens_factor)
    yield from at_least("pretrain.tokens", training_tokens(phase), phase.pretrain.batch_tokens, "one batch")


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
        yield from probability("pretrain.decay_to", factor)


def check_problems(config: Config) -> Iterator[str]:
    yield from one_of("problems.source", config.problems.source, ("miniature", "jsonl"))
    yield from one_of("prompts", config.prompts, ("miniature", "release", "smollm2"))
    yield from probability("problems.terse_share", config.problems.terse_share)
    if config.problems.source == "miniature":
        for key in ("train_path", "test_path", "rl_path"):
            if path := getattr(config.problems, key):
                yield (
                    f"problems.{key}={path}: not read with problems.source=miniature. Set problems.source=jsonl, or "
                    f"leave it out (problems.{key}='' where a file of conf/ sets it)."
                )


def check_sft(config: Config) -> Iterator[str]:
    part = config.sft
    yield from one_of("sft.format", part.format, tuple(MODES_OF_FORMAT))
    if part.format == "none":
        return
    for key in ("examples", "steps", "batch_size", "max_length"):
        yield from at_least(f"sft.{key}", getattr(part, key), 1)
    yield from at_least("sft.warmup_steps", part.warmup_steps, 0)
    yield from optimiser("sft", part.learning_rate, part.weight_decay, part.max_grad_norm)
