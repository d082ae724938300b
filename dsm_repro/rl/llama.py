"""One token of a Llama for many rows, on a CPU: what a small model's decoding costs is mostly not its products.

The general path goes through the model's modules once per token. Here a layer is about fifteen operations on weights
that were laid out once for the whole exploration stage: query, key and value in one product, gate and up in one, the
norm's weight multiplied into the product behind it. The results are those of ``LlamaForCausalLM`` up to rounding; the
tests compare in float64.

Not covered, and so decoded by the general path: other architectures, biases, adapters, rotary embeddings that change
with the length, GPUs, and models beyond :data:`~dsm_repro.rl.sizes.LARGEST_LAID_OUT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from dsm_repro.rl.sizes import LARGEST_LAID_OUT

#: rotary embeddings whose table does not depend on how long the row is
STATIC_ROPE = frozenset({"default", "linear", "llama3", "yarn"})


@dataclass(frozen=True)
class _Layer:
    """Weights as (inputs, outputs), with the weight of the norm before them multiplied in."""

    qkv: Tensor
    output: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class LlamaWeights:
    """A model's weights, copied and laid out for decoding, in the type of the products."""

    layers: Sequence[_Layer]
    head: Tensor
    embedding: Tensor
    #: (positions, head dimension); ``sin`` with the sign of the half that it multiplies
    cos: Tensor
    sin: Tensor
    heads: int
    kv_heads: int
    epsilon: float


def has_static_rope(config: Any) -> bool:
    """Whether a position's rotation is the same in rows of any length."""
    return (config.rope_parameters or {}).get("rope_type", "default") in STATIC_ROPE


def supported(model: Any) -> bool:
    """Whether :class:`LlamaDecoder` computes what ``model`` does."""
    if type(model) is not LlamaForCausalLM or model.device.type != "cpu":
        return False
    config = model.config
    linears = [
        getattr(block, name)
        for layer in model.model.layers
        for block, names in ((layer.self_attn, ("q_proj", "k_proj", "v_proj", "o_proj")),
                             (layer.mlp, ("gate_proj", "up_proj", "down_proj")))
        for name in names
    ]  # fmt: skip
    return (
        model.num_parameters() <= LARGEST_LAID_OUT
        and config.hidden_act == "silu"
        and not (model.training and config.attention_dropout)
        and has_static_rope(config)
        and all(weight.dtype in (torch.float32, torch.float64) for weight in model.parameters())
        # an adapter replaces these by modules of its own
        and all(type(linear) is nn.Linear and linear.bias is None for linear in [*linears, model.lm_head])
    )


def lay_out(model: Any, positions: int) -> LlamaWeights:
    """The weights of a :func:`supported` model, in autocast's type under autocast, for rows of ``positions`` tokens."""
    config, body = model.config, model.model
    weight: Tensor = body.embed_tokens.weight
    # autocast leaves float64 alone
    lower = torch.is_autocast_enabled("cpu") and weight.dtype == torch.float32
    dtype = torch.get_autocast_dtype("cpu") if lower else weight.dtype

    def behind(norm: Any, *linears: nn.Linear) -> Tensor:
        joined = torch.cat([linear.weight for linear in linears])
        return (joined * norm.weight).t().to(dtype).contiguous()

    layers = [
        _Layer(
            behind(
                layer.input_layernorm, layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj
            ),
            layer.self_attn.o_proj.weight.t().to(dtype).contiguous(),
            behind(layer.post_attention_layernorm, layer.mlp.gate_proj, layer.mlp.up_proj),
            layer.mlp.down_proj.weight.t().to(dtype).contiguous(),
        )
        for layer in body.layers
    ]  # fmt: skip
    cos, sin = body.rotary_emb(weight.detach(), torch.arange(positions)[None])
    half = sin.shape[-1] // 2
    sign = torch.cat([-torch.ones(half), torch.ones(half)]).to(sin)
    return LlamaWeights(
        layers, behind(body.norm, model.lm_head), weight, cos[0].to(dtype), (sin[0] * sign).to(dtype),
        config.num_attention_heads, config.num_key_value_heads, config.rms_norm_eps,
    )  # fmt: skip


class LlamaDecoder:
    """Rows that are being written: their keys and values in buffers of their final size.

    Args:
        prompts: keys and values of the prompts of each layer, (b, kv heads, P, d) each.
        mask: (b, P), left-padded.
        limit: tokens that a row may still be given.
    """

    def __init__(
        self, weights: LlamaWeights, prompts: Sequence[tuple[Tensor, Tensor]], mask: Tensor, limit: int
    ) -> None:
        self.weights = weights
        self.used = mask.shape[1]
        self.position = mask.sum(-1)
        dtype = weights.head.dtype
        room = self.used + limit
        self.cache = []
        for key, value in prompts:
            buffer = torch.empty((2, *key.shape[:2], room, key.shape[3]), dtype=dtype)
            buffer[0, :, :, : self.used], buffer[1, :, :, : self.used] = key, value
            self.cache.append(buffer)
        self.hidden = torch.zeros((len(mask), 1, 1, room), dtype=dtype)
        self.hidden[:, 0, 0, : self.used].masked_fill_(mask == 0, float("-inf"))

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""
        self.cache = [buffer.index_select(1, rows) for buffer in self.cache]
        self.hidden, self.position = self.hidden[rows], self.position[rows]

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token of each row, (b,); the logits of the next, (b, V)."""
        weights, rows = self.weights, len(tokens)
        x = functional.embedding(tokens, weights.embedding)
        cos, sin = weights.cos[self.position][:, None], weights.sin[self.position][:, None]
        size, groups = cos.shape[-1], weights.kv_heads
        turned = weights.heads + groups
        end = self.used + 1
        hidden = self.hidden[..., :end]
        with torch.autocast("cpu", enabled=False):
            for layer, buffer in zip(weights.layers, self.cache, strict=True):
                qkv = (self._norm(x) @ layer.qkv).view(rows, turned + groups, size)
                qk = qkv[:, :turned]
                swapped = qk.unflatten(-1, (2, size // 2)).flip(-2).flatten(-2)
                qk = torch.addcmul(qk * cos, swapped, sin)
                buffer[0, :, :, self.used], buffer[1, :, :, self.used] = qk[:, weights.heads :], qkv[:, turned:]
                # the query heads that share keys are so many queries of one head
                read = functional.scaled_dot_product_attention(
                    qk[:, : weights.heads].view(rows, groups, -1, size), buffer[0, :, :, :end], buffer[1, :, :, :end],
                    attn_mask=hidden,
                )  # fmt: skip
                x = self._add(x, read.reshape(rows, -1), layer.output)
                gate, up = (self._norm(x) @ layer.gate_up).chunk(2, -1)
                x = self._add(x, functional.silu(gate).mul_(up), layer.down)
            logits = self._norm(x) @ weights.head
        self.used, self.position = end, self.position + 1
        return logits

    def _norm(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, x.shape[-1:], None, self.weights.epsilon).to(self.weights.head.dtype)

    @staticmethod
    def _add(x: Tensor, states: Tensor, weight: Tensor) -> Tensor:
        return torch.addmm(x, states, weight) if weight.dtype == x.dtype else x + states @ weight
