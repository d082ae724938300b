"""The cost ledger of a stage, and the FLOP formulas of a decoder-only transformer.

Convention: one multiply-accumulate is 2 FLOPs; a backward pass costs twice its forward pass.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelShape:
    """What the FLOP formulas need to know of a Llama-architecture model."""

    hidden_size: int
    layers: int
    intermediate_size: int
    vocab_size: int
    heads: int = 1
    kv_heads: int = 1
    #: the head is the embedding; else it has weights of its own
    tied: bool = True
    #: query, key and value have a bias (Qwen2)
    biases: bool = False
    #: weights of low-rank adapters, in all layers together; the others are frozen where there are any
    adapter_parameters: int = 0
    #: numbers of a head, None: the hidden size is shared out among the heads (Qwen3 does not)
    head_dim: int | None = None

    @property
    def query_width(self) -> int:
        """Numbers in a token's queries, and in what attention gives back, of one layer."""
        return self.hidden_size if self.head_dim is None else self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Numbers in a token's keys, and in its values, of one layer."""
        if self.head_dim is not None:
            return self.kv_heads * self.head_dim
        return self.hidden_size * self.kv_heads // max(self.heads, 1)

    @property
    def block_parameters(self) -> int:
        """Weights that take part in matrix products, per layer: q, k, v, o and the gated MLP."""
        attention = 2 * self.hidden_size * self.query_width + 2 * self.hidden_size * self.key_width
        return attention + 3 * self.hidden_size * self.intermediate_size

    @property
    def parameters(self) -> int:
        """All weights."""
        norms = (2 * self.layers + 1) * self.hidden_size
        biases = self.layers * (self.query_width + 2 * self.key_width) if self.biases else 0
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tied else 2)
        return self.layers * self.block_parameters + norms + biases + embeddings


def pass_flops(shape: ModelShape, tokens: float, pairs: float, scored: float) -> float:
    """FLOPs of passing ``tokens`` tokens through the model forward.

    Matrix products of the layers, 2·tokens·layers·block; of the output head, 2·scored·vocab·hidden; of adapters,
    2·tokens·adapters; attention scores and values, 4·layers·width·pairs for heads
    that are ``width`` wide together (nearly always: hidden).

    Args:
        pairs: (query, key) pairs that attention multiplies out: a dense kernel computes the masked ones of the
            causal square too, and so does torch's FLOP counter.
        scored: positions on which the output head is computed.
    """
    frozen, attention = _products(shape, tokens, pairs, scored)
    return frozen + 2.0 * tokens * shape.adapter_parameters + attention


def _products(shape: ModelShape, tokens: float, pairs: float, scored: float) -> tuple[float, float]:
    """FLOPs forward of the model's own weights, and of attention."""
    dense = 2.0 * (tokens * shape.layers * shape.block_parameters + scored * shape.vocab_size * shape.hidden_size)
    return dense, 4.0 * shape.layers * shape.query_width * pairs


def update_flops(shape: ModelShape, tokens: float, pairs: float, scored: float) -> float:
    """FLOPs of a forward and a backward pass; arguments as in :func:`pass_flops`.

    A backward pass computes gradients of inputs and of weights, each as dear as the forward pass. Beneath adapters the
    weights are frozen and need none (and nothing asks for the gradient of the first layer's inputs, which is counted).
    """
    forward = pass_flops(shape, tokens, pairs, scored)
    if not shape.adapter_parameters:
        return 3.0 * forward
    return 3.0 * forward - _products(shape, tokens, pairs, scored)[0]


def forward_flops(shape: ModelShape, tokens: int, sum_squared_lengths: float) -> float:
    """FLOPs of one forward pass over whole sequences, head on every token; third argument: Σ L²."""
    return pass_flops(shape, tokens, sum_squared_lengths, tokens)


def train_flops(shape: ModelShape, tokens: int, sum_squared_lengths: float) -> float:
    """FLOPs of a forward and a backward pass over whole sequences."""
    return update_flops(shape, tokens, sum_squared_lengths, tokens)


def generation_flops(shape: ModelShape, prompt_tokens: int, total_tokens: int, sum_squared_lengths: float) -> float:
    """FLOPs of cached decoding, Σ over sequences: every token passes once, the head runs on the tokens that are drawn.

    Attention over the growing prefix is half the square. (The prompt's own square is computed in full: for a short
    prompt the difference is small, and where it counts ``rl.accounting.generate`` has it from single lengths.)
    """
    return pass_flops(shape, total_tokens, sum_squared_lengths / 2, total_tokens - prompt_tokens)


@dataclass
class Cost:
    """What a stage spent.

    ``flops`` by purpose (``train``, ``generate``, ``reference``, ``critic``, ``reward_model``, ``forward``); ``tokens``
    by purpose (``train``: with weight in an update; ``generate``).
    """

    flops: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def add_flops(self, purpose: str, amount: float) -> None:
        self.flops[purpose] = self.flops.get(purpose, 0.0) + amount

    def add_tokens(self, purpose: str, amount: float) -> None:
        self.tokens[purpose] = self.tokens.get(purpose, 0.0) + amount

    @property
    def total_flops(self) -> float:
        return sum(self.flops.values())

    def state(self) -> dict[str, Any]:
        return asdict(self)
