"""What a training stage will spend, from the config alone: no torch, no weights at hand."""

from __future__ import annotations

import math
from dataclasses import replace

from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig, TuningConfig
from dsm_repro.config.resolve import resolve_model
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.cost import ModelShape, train_flops
from dsm_repro.pipeline.device import kind_of
from dsm_repro.pipeline.memory import Held, MemoryParts, Placement, training
from dsm_repro.pipeline.stage import Estimate
from dsm_repro.training.batching import RECOMPUTE_FROM, rows_at_once, split_batch

SAVED_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: four bits, and the scales of blocks of 64, themselves quantised (arXiv:2305.14314)
NF4_BYTES = 0.516
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


def training_flops(spec: ModelSpec, tokens: float, length: float, adapters: int | None = None) -> float | None:
    """FLOPs of training on ``tokens`` in rows of ``length``; None where the model's size is not in the config."""
    shape = shape_of(spec)
    if shape is None:
        return None
    if shape.vocab_size:
        return train_flops(replace(shape, adapter_parameters=adapters or 0), int(tokens), tokens * length)
    attention = 12.0 * (spec.layers or 0) * (spec.hidden_size or 0) * tokens * length
    return 6.0 * (spec.parameters or 0) * tokens + attention


def prompt_tokens(config: Config) -> int:
    """Tokens assumed of a question with its wording."""
    return PROMPT_TOKENS.get(config.problems.source, PROMPT_TOKENS["jsonl"])


def placement_of(config: Config) -> Placement:
    """Over how many processes a stage runs that can be shared, and how they hold the model."""
    return Placement(config.execution.processes_in_all, config.execution.sharding)


def adapter_parameters(shape: ModelShape, tuning: TuningConfig) -> int | None:
    """Weights of the low-rank adapters; None where there are none, and all weights are trained."""
    if tuning.method == "full":
        return None
    hidden, queries, keys, inner = shape.hidden_size, shape.query_width, shape.key_width, shape.intermediate_size
    #: inputs and outputs of each linear layer, one rank taking a number of each
    widths = {
        "q_proj": hidden + queries, "k_proj": hidden + keys, "v_proj": hidden + keys, "o_proj": queries + hidden,
        "gate_proj": hidden + inner, "up_proj": hidden + inner, "down_proj": inner + hidden,
    }  # fmt: skip
    names = widths if tuning.targets == "all-linear" else [name.strip() for name in tuning.targets.split(",")]
    return tuning.rank * shape.layers * sum(widths.get(name, 0) for name in names)


def in_training(config: Config, shape: ModelShape, placement: Placement, tuned: bool = False) -> Held:
    """The arm's model as its trainers hold it: float32 masters, every weight learning.

    ``tuned``: the stage obeys ``tuning``, whose adapters learn on frozen weights in ``base.dtype`` or in 4 bits.
    """
    model = Held(shape, config.base.dtype, kind_of(config.execution), placement)
    adapters = adapter_parameters(shape, config.tuning) if tuned else None
    if adapters is None:
        return model
    frozen = NF4_BYTES if config.tuning.quantise == "nf4" else SAVED_BYTES.get(config.base.dtype, 4)
    return replace(model, adapters=adapters, weight_bytes=frozen)


def stored(config: Config, shape: ModelShape) -> Held:
    """The arm's model as it is loaded to be asked: in ``base.dtype``, whole on each device."""
    return Held(shape, config.base.dtype, kind_of(config.execution), weight_bytes=SAVED_BYTES.get(config.base.dtype, 4))


def trainer_memory(
    config: Config, batch_size: int, length: float, fused: bool, tuned: bool = False
) -> MemoryParts | None:
    """The peak of a next-token trainer on batches of rows of ``length`` tokens; None where the shape is not known."""
    shape = shape_of(resolve_model(config))
    if shape is None:
        return None
    model = in_training(config, shape, placement_of(config), tuned)
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
    config: Config, tokens: float, length: float, notes: tuple[str, ...] = (), memory: MemoryParts | None = None,
    tuned: bool = False,
) -> Estimate:  # fmt: skip
    """Tokens, FLOPs, the saved model on disk, the peak in memory; of a stage that processes can share."""
    spec = resolve_model(config)
    shape = shape_of(spec)
    adapters = adapter_parameters(shape, config.tuning) if tuned and shape is not None else None
    return Estimate(
        tokens=tokens,
        flops=training_flops(spec, tokens, length, adapters) or 0.0,
        devices=placement_of(config).processes,
        disk_bytes=float((parameters(spec) or 0) * SAVED_BYTES.get(config.base.dtype, 4)),
        memory=memory,
        notes=(*notes, *shape_notes(spec)),
    )
