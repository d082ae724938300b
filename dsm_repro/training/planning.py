"""What a training stage will spend, from the config alone: no torch, no weights at hand."""

from __future__ import annotations

import math

from dsm_repro.config.resolve import resolve_model
from dsm_repro.config.schema import Config, ModelSpec, TinyModelConfig
from dsm_repro.pipeline.cost import ModelShape, train_flops
from dsm_repro.pipeline.stage import Estimate

#: float32 weights, gradients and the two moments of Adam
TRAINING_BYTES_PER_PARAMETER = 16
SAVED_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


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


def base_shape(config: Config) -> ModelShape:
    """The shape of the arm's model. For published weights, one with the same parameters, width and depth.

    Where the config does not say how large they are, the shape is empty and all its FLOPs are 0.
    """
    spec = resolve_model(config)
    if spec.tiny is not None and spec.path is None:
        return tiny_shape(spec.tiny)
    if spec.parameters is None:
        return ModelShape(hidden_size=0, layers=0, intermediate_size=0, vocab_size=0)
    layers = spec.layers or 1
    hidden = spec.hidden_size or round(math.sqrt(spec.parameters / (12 * layers)))
    feed_forward = (spec.parameters / layers - 4 * hidden * hidden) / (3 * hidden)
    return ModelShape(hidden, layers, intermediate_size=max(round(feed_forward), 0), vocab_size=0)


def parameters(spec: ModelSpec) -> int | None:
    """Number of weights, or None where the config does not say."""
    return spec.parameters if spec.tiny is None or spec.path is not None else tiny_shape(spec.tiny).parameters


def training_flops(spec: ModelSpec, tokens: float, length: float) -> float | None:
    """FLOPs of training on ``tokens`` in rows of ``length``; None where the model's size is not in the config."""
    if spec.tiny is not None and spec.path is None:
        return train_flops(tiny_shape(spec.tiny), int(tokens), tokens * length)
    if spec.parameters is None:
        return None
    attention = 12.0 * (spec.layers or 0) * (spec.hidden_size or 0) * tokens * length
    return 6.0 * spec.parameters * tokens + attention


def training_estimate(
    spec: ModelSpec, dtype: str, tokens: float, length: float, notes: tuple[str, ...] = ()
) -> Estimate:
    """Tokens, FLOPs, the saved model on disk, weights and optimiser in memory."""
    size = parameters(spec)
    flops = training_flops(spec, tokens, length)
    if size is None:
        notes = (*notes, f"size of {spec.path} unknown: set scale.models.<role>.parameters for an estimate")
    return Estimate(
        tokens=tokens,
        flops=flops or 0.0,
        disk_bytes=float((size or 0) * SAVED_BYTES.get(dtype, 4)),
        memory_bytes=float((size or 0) * TRAINING_BYTES_PER_PARAMETER),
        notes=notes,
    )
