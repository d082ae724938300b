"""The peak memory of one device, by part, from the shape of the model that is trained or asked: arithmetic, no torch.

What is counted follows from what the stages do: weights are float32 masters while they are trained, Adam keeps two
moments, products run in float32 or, under autocast, in bfloat16 on copies of the weights; attention is torch's
``scaled_dot_product_attention``, which keeps no square of the length. ``tests/pipeline/test_memory.py`` compares the
activations with what autograd saves, ``benchmarks/memory.py`` the sum with measured peaks.

Not covered: fragmentation of a GPU's memory, and what a process holds of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from dsm_repro.config.execution_schema import CUT_WEIGHTS
from dsm_repro.pipeline.cost import ModelShape

MASTER_BYTES = 4
GRADIENT_BYTES = 4
#: the two of Adam, float32
MOMENT_BYTES = 8
#: gradients that reinforcement learning adds up over processes at once
BUCKET_BYTES = 250_000_000
#: bytes of a number in a product
PRODUCT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: what a process holds before any model: on a CPU torch, transformers and TRL (measured: benchmarks/README.md), on a
#: GPU its context, cuBLAS workspaces and communication (assumed, nobody has measured it here)
FRAMEWORK_BYTES = {"cpu": 0.6e9, "cuda": 1.0e9}

#: bytes for each (token, vocabulary entry) at the peak of a head with its backward pass, as the head is computed:
#: transformers' loss keeps the log-probabilities and two gradients of them; ``rl.batch.completion_logps`` keeps logits
#: and three intermediates of logsumexp's derivative
LOSS_HEAD, SCORED_HEAD = 12, 16
#: the same without a backward pass: float32 logits before and after the temperature, and under autocast their products
SCORING_HEAD = {"float32": 8, "bfloat16": 10, "float16": 10}
#: TRL computes logits tile by tile, tokens × vocabulary entries; in one buffer on a GPU, in float32 copies on a CPU
TILE_TOKENS, TILE_VOCABULARY, TILE_CPU_BYTES = 4_096, 32_768, 32
#: bytes for each (row, vocabulary entry) while a token is drawn, and while the nucleus is found by sorting
DRAWN, DRAWN_NUCLEUS = 20, 44
#: of the activations on a CPU: what glibc's allocator keeps, fitted to the cases of benchmarks/memory.py
ALLOCATOR_SHARE = 0.35


@dataclass(frozen=True)
class Placement:
    """Over how many processes, each with a device of its own, a stage runs, and whether they share what they hold.

    ``sharding``: ``none`` (every process holds all of it), ``zero1`` (each a share of the moments), ``fsdp2`` or
    ``zero3`` (of weights and gradients too, gathered layer by layer).
    """

    processes: int = 1
    sharding: str = "none"

    @property
    def shards(self) -> int:
        return self.processes if self.sharding in CUT_WEIGHTS else 1

    @property
    def moment_shards(self) -> int:
        return 1 if self.sharding == "none" else self.processes


@dataclass(frozen=True)
class Held:
    """A model on a device.

    ``dtype`` is that of the products, ``weight_bytes`` what a stored weight takes; ``adapters`` the number of weights
    that learn beside them, in float32, where they do not learn themselves.
    """

    shape: ModelShape
    dtype: str
    device: str
    placement: Placement = Placement()
    adapters: int | None = None
    weight_bytes: float = MASTER_BYTES

    @property
    def product_bytes(self) -> int:
        return PRODUCT_BYTES.get(self.dtype, 4)

    @property
    def learning(self) -> int:
        return self.shape.parameters if self.adapters is None else self.adapters


@dataclass(frozen=True)
class MemoryParts:
    """Bytes on one device at the peak, by part; ``phase`` says when that is."""

    phase: str = ""
    weights: float = 0.0
    #: of the weights that learn, with the buckets in which processes exchange them
    gradients: float = 0.0
    moments: float = 0.0
    #: PPO's value model with all that it takes to train it
    critic: float = 0.0
    reference: float = 0.0
    reward_model: float = 0.0
    #: copies of weights in the type of the products, or gathered from other processes
    copies: float = 0.0
    activations: float = 0.0
    logits: float = 0.0
    #: keys and values while text is written
    cache: float = 0.0
    #: freed blocks that a CPU's allocator does not give back
    allocator: float = 0.0
    framework: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.parts().values())

    def parts(self) -> dict[str, float]:
        """Those that are there, largest first."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "phase"}
        return dict(sorted(((name, size) for name, size in found.items() if size), key=lambda item: -item[1]))


def peak(held: MemoryParts, phases: dict[str, MemoryParts]) -> MemoryParts:
    """What is held throughout, with the phase that adds most."""
    name, most = max(phases.items(), key=lambda item: item[1].total)
    values = {f.name: getattr(held, f.name) + getattr(most, f.name) for f in fields(held) if f.name != "phase"}
    return MemoryParts(phase=name, **values)


def without_head(shape: ModelShape) -> ModelShape:
    """The shape of a critic or a reward model: one output in place of the vocabulary, whose embedding it keeps."""
    return replace(shape, tied=True)


def resident(model: Held) -> MemoryParts:
    """Weights and moments of a model in training, which are there from the first step to the last."""
    shards = model.placement.shards
    return MemoryParts(
        weights=(model.weight_bytes * model.shape.parameters + MASTER_BYTES * (model.adapters or 0)) / shards,
        moments=MOMENT_BYTES * model.learning / model.placement.moment_shards,
    )


def gradients(model: Held, ddp: bool = True) -> float:
    """Bytes of gradients during a backward pass.

    An embedding's gradient is dense and made beside the one it is added to; a tied one waits for both of its uses.
    Processes that hold whole gradients exchange them in buckets: all at once where DDP does it (``ddp``).
    """
    shape, place = model.shape, model.placement
    embedding = GRADIENT_BYTES * shape.vocab_size * shape.hidden_size * (2 if shape.tied else 1)
    held = GRADIENT_BYTES * model.learning / place.shards
    buckets = (held if ddp else min(held, BUCKET_BYTES)) if place.processes > 1 and place.shards == 1 else 0.0
    return held + buckets + (embedding if model.adapters is None else 0.0)


def copies(model: Held, recompute: bool = False) -> float:
    """Bytes of weights beside the stored ones: cast for the products, or gathered (two layers, embedding and head).

    ``recompute``: the backward pass makes a layer's anew. Only shards make use of it: without them autocast remembers
    what it cast until the forward pass ends.
    """
    shape = model.shape
    cast = model.weight_bytes == MASTER_BYTES and model.product_bytes < MASTER_BYTES
    if model.placement.shards > 1:
        # FSDP2 gathers float32, ZeRO-3 the type of the products
        each = MASTER_BYTES if model.placement.sharding == "fsdp2" else model.product_bytes
        ends = shape.vocab_size * shape.hidden_size * (1 if shape.tied else 2)
        open_ones = 2 * shape.block_parameters + ends
        kept = open_ones if recompute else shape.parameters
        # weights and their gradients, before they are shared out
        return 2.0 * each * open_ones + (model.product_bytes * kept if cast and each == MASTER_BYTES else 0.0)
    return float(model.product_bytes * shape.parameters) if cast else 0.0


def layer_bytes(shape: ModelShape, dtype: str) -> float:
    """What one layer keeps of one token for the backward pass.

    The residual stream is float32, so of both norms 16 bytes for each of H; then, in the type of the products, the
    inputs of the projections (under autocast a copy for each of the five), query, key, value, the attention's result
    and four intermediates of the gated MLP; and two numbers of the norms, one of each head's softmax.
    """
    hidden, queries, keys = shape.hidden_size, shape.query_width, shape.key_width
    small = 8 + 4 * shape.heads
    if PRODUCT_BYTES.get(dtype, 4) == 4:
        return 16 * hidden + 8 * hidden + 8 * queries + 8 * keys + 16 * shape.intermediate_size + small
    return 16 * hidden + 10 * hidden + 4 * queries + 4 * keys + 8 * shape.intermediate_size + small


def activations(model: Held, tokens: float, recompute: bool) -> float:
    """Bytes that ``tokens`` tokens leave for the backward pass; recomputed: each layer's input, and one layer whole."""
    shape = model.shape
    layer = layer_bytes(shape, model.dtype)
    # of the last norm, and what goes into the head
    last = (8.0 + model.product_bytes) * shape.hidden_size
    if recompute:
        return tokens * (4.0 * shape.hidden_size * shape.layers + layer + last)
    return tokens * (layer * shape.layers + last)


def kept_back(model: Held, kept: float) -> float:
    """What the allocator keeps beside ``kept`` bytes of activations. Nobody has measured it on a GPU."""
    return ALLOCATOR_SHARE * kept if model.device == "cpu" else 0.0


def prompt_keys(model: Held, rows: float, prompt: float, packed: bool) -> float:
    """Bytes by which completions that share prompts exceed their own tokens: each keeps the keys and values of its
    prompt, and of all that it reads one for every head where heads share them.

    ``packed``: ``rl.packed``, which gathers float32 rows for attention.
    """
    shape = model.shape
    bytes_each = 4 if packed else model.product_bytes
    return rows * prompt * shape.layers * 2.0 * bytes_each * shape.query_width


def passing(model: Held, tokens: float) -> float:
    """Bytes of a pass that keeps nothing for later: one layer, and what goes into the next."""
    return tokens * (layer_bytes(model.shape, model.dtype) + 8.0 * model.shape.hidden_size)


def key_value_bytes(model: Held) -> float:
    """Bytes of one token's keys and values in all layers.

    Where the weights are float32, so are both, whatever the products are: rotation leaves the keys in float32, and
    transformers' cache takes its type from them.
    """
    each = MASTER_BYTES if model.weight_bytes == MASTER_BYTES else model.product_bytes
    return 2.0 * each * model.shape.layers * model.shape.key_width


def tiles(model: Held, tokens: float) -> float:
    """Bytes of TRL's head, which never has all logits."""
    rows, columns = min(tokens, TILE_TOKENS), min(model.shape.vocab_size, TILE_VOCABULARY)
    if model.device == "cpu":
        return float(TILE_CPU_BYTES * rows * columns)
    return float(model.product_bytes * rows * TILE_VOCABULARY)


def training(model: Held, rows: int, length: float, recompute: bool, fused: bool) -> MemoryParts:
    """A next-token trainer at its peak: ``rows`` of ``length`` tokens in one pass.

    ``fused``: TRL's head; else transformers' loss, which has the logits of all tokens at once.
    """
    tokens = rows * length
    whole = float(LOSS_HEAD * tokens * model.shape.vocab_size)
    kept = activations(model, tokens, recompute)
    phase = MemoryParts(
        gradients=gradients(model),
        copies=copies(model, recompute),
        activations=kept,
        logits=tiles(model, tokens) if fused else whole,
        allocator=kept_back(model, kept),
    )
    return peak(replace(resident(model), framework=FRAMEWORK_BYTES[model.device]), {"backward pass": phase})


def writing(
    model: Held, rows: float, prompts: float, prompt: float, limit: float, nucleus: bool, laid_out: bool = False
) -> MemoryParts:
    """The phase in which ``rows`` completions of up to ``limit`` tokens are written at once by ``rl.rollouts``.

    ``prompts``: how many different ones are read, of ``prompt`` tokens each; ``nucleus``: whether the vocabulary is
    sorted for each token; ``laid_out``: with a copy of the weights, as ``rl.llama`` makes it.
    """
    token, shape = key_value_bytes(model), model.shape
    row = 2.0 * model.product_bytes * shape.layers * shape.key_width if laid_out else token
    return MemoryParts(
        # the prompts' own are still there while the rows are filled
        cache=row * rows * (prompt + limit) + token * prompts * prompt,
        activations=passing(model, prompts * prompt),
        logits=float((DRAWN_NUCLEUS if nucleus else DRAWN) * rows * shape.vocab_size),
        copies=float(model.product_bytes * shape.parameters) if laid_out else copies(model),
    )


def answering(model: Held, rows: int, prompt: float, limit: float, greedy: bool) -> MemoryParts:
    """An evaluation at its peak: ``rows`` answers at once, with transformers' growing cache."""
    shape = model.shape
    # a layer's is copied for each token that it grows by
    growing = 1 + 1 / max(shape.layers, 1)
    phase = MemoryParts(
        cache=key_value_bytes(model) * rows * (prompt + limit) * growing,
        activations=passing(model, rows * prompt),
        logits=float((8 if greedy else DRAWN_NUCLEUS) * rows * shape.vocab_size),
    )
    held = MemoryParts(weights=model.weight_bytes * shape.parameters, framework=FRAMEWORK_BYTES[model.device])
    return peak(held, {"answering": phase})
