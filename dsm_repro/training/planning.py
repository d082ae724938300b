"""What a training stage will spend, from the config alone: no torch, no weights at hand."""

from __future__ import annotations

import math

from dsm_repro.config.resolve import resolve_model
from dsm_repro.config.schema import Config, ModelSpec, TinyModelConfig
from dsm_repro.pipeline.cost import ModelShape, train_flops
from dsm_repro.pipeline.device import kind_of
from dsm_repro.pipeline.memory import Held, MemoryParts, Placement, training
from dsm_repro.pipeline.stage import Estimate
from dsm_repro.training.batching import RECOMPUTE_FROM, rows_at_once, split_batch

SAVED_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: tokens of a prompt, for the plan: measured on the miniature's, guessed for others
PROMPT_TOKENS = {"miniature": 40, "jsonl": 256}


def tiny_shape(tiny: TinyModelConfig) -> ModelShape:
    """The shape of a model made on the spot."""
    return ModelShape(
        hidden_size=tiny.hidden_size,
        layers=tiny.layers,
        intermediate_size=tiny.intermediate_size,
        vocab_size=tiny.vocab_size,
        heads=tiny.heads,
        kv_heads=tiny.heads,
    )


def shape_of(spec: ModelSpec) -> ModelShape | None:
    """The shape of a model. Of published weights whose spec does not tell all of it, one with the same parameters,
    width and depth, and no vocabulary; None where not even the parameters are told."""
    if spec.tiny is not None and spec.path is None:
        return tiny_shape(spec.tiny)
    if spec.hidden_size and spec.layers and spec.intermediate_size and spec.vocab_size and spec.heads:
        return ModelShape(
            spec.hidden_size, spec.layers, spec.intermediate_size, spec.vocab_size, spec.heads,
            spec.kv_heads or spec.heads, spec.tied, spec.biases,
        )  # fmt: skip
    if spec.parameters is None:
        return None
    layers = spec.layers or 1
    hidden = spec.hidden_size or round(math.sqrt(spec.parameters / (12 * layers)))
    feed_forward = (spec.parameters / layers - 4 * hidden * hidden) / (3 * hidden)
    return ModelShape(hidden, layers, intermediate_size=max(round(feed_forward), 0), vocab_size=0)


def base_shape(config: Config) -> ModelShape:
    """The shape of the arm's model; where the config does not say how large it is, empty: all its FLOPs are 0."""
    return shape_of(resolve_model(config)) or ModelShape(0, 0, intermediate_size=0, vocab_size=0)


def parameters(spec: ModelSpec) -> int | None:
    """Number of weights, or None where the config does not say."""
    shape = shape_of(spec)
    return None if shape is None else shape.parameters if shape.vocab_size else spec.parameters


def training_flops(spec: ModelSpec, tokens: float, length: float) -> float | None:
    """FLOPs of training on ``tokens`` in rows of ``length``; None where the model's size is not in the config."""
    shape = shape_of(spec)
    if shape is None:
        return None
    if shape.vocab_size:
        return train_flops(shape, int(tokens), tokens * length)
    attention = 12.0 * (spec.layers or 0) * (spec.hidden_size or 0) * tokens * length
    return 6.0 * (spec.parameters or 0) * tokens + attention


def placement_of(config: Config) -> Placement:
    """Over how many processes a stage runs, and what they share."""
    execution = config.execution
    return Placement(getattr(execution, "processes", None) or 1, getattr(execution, "sharding", None) or "none")


def in_training(config: Config, shape: ModelShape) -> Held:
    """The arm's model as its trainers hold it: float32 masters, every weight learning."""
    return Held(shape, config.base.dtype, kind_of(config.execution), placement_of(config))


def stored(config: Config, shape: ModelShape) -> Held:
    """The arm's model as it is loaded to be asked: in ``base.dtype``, whole on each device."""
    return Held(shape, config.base.dtype, kind_of(config.execution), weight_bytes=SAVED_BYTES.get(config.base.dtype, 4))


def trainer_memory(config: Config, batch_size: int, length: float, fused: bool) -> MemoryParts | None:
    """The peak of a next-token trainer on batches of rows of ``length`` tokens; None where the shape is not known."""
    shape = shape_of(resolve_model(config))
    if shape is None:
        return None
    model = in_training(config, shape)
    most = rows_at_once(config.execution.micro_batch, model.device, length)
    rows, _ = split_batch(batch_size, most, model.placement.processes)
    return training(model, rows, length, shape.parameters >= RECOMPUTE_FROM, fused)


def shape_notes(spec: ModelSpec) -> tuple[str, ...]:
    """What the config does not say of a model, and what the plan therefore lacks."""
    shape = shape_of(spec)
    if shape is None:
        return (f"size of {spec.path} unknown: set scale.models.<role>.parameters for an estimate",)
    if not shape.vocab_size:
        return (
            f"shape of {spec.path} not fully known, so its logits are not in the memory: set vocab_size, "
            "intermediate_size, heads and kv_heads in scale.models.<role>",
        )
    return ()


def training_estimate(
    config: Config, tokens: float, length: float, notes: tuple[str, ...] = (), memory: MemoryParts | None = None
) -> Estimate:
    """Tokens, FLOPs, the saved model on disk, the peak in memory."""
    spec = resolve_model(config)
    return Estimate(
        tokens=tokens,
        flops=training_flops(spec, tokens, length) or 0.0,
        disk_bytes=float((parameters(spec) or 0) * SAVED_BYTES.get(config.base.dtype, 4)),
        memory=memory,
        notes=(*notes, *shape_notes(spec)),
    )
