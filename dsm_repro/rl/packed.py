"""A Llama's forward pass over the tokens of a batch laid end to end: no padding, and every prompt once.

Projections, norms and feed-forward layers, which are most of a small model's work on a CPU, see one row of real
tokens. Attention alone sees rows: those of the prompts, and those of the completions with the keys of their prompt
before their own. The modules are the model's own, so adapters and biases are theirs too.

Not covered, and so scored through the model's forward pass: other architectures, attention dropout, gradient
checkpointing, rotary embeddings that change with the length, GPUs (nobody has measured it there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaModel, apply_rotary_pos_emb

from dsm_repro.rl.llama import has_static_rope

if TYPE_CHECKING:
    from dsm_repro.rl.batch import Batch


def supported(backbone: Any) -> bool:
    """Whether :func:`forward` computes what ``backbone``, a model without its head, does."""
    return (
        type(backbone) is LlamaModel
        and backbone.device.type == "cpu"
        and has_static_rope(backbone.config)
        and backbone.config._attn_implementation == "sdpa"
        and not (backbone.training and (backbone.config.attention_dropout or backbone.is_activation_checkpointing))
    )


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch stand in one row of N: the prompts, then all but the last token of each completion.

    Indices that padding has point at some token: what is computed there is read by nobody.
    """

    #: (N,) tokens, and their positions in their own sequence
    ids: Tensor
    positions: Tensor
    #: tokens of prompts, the first of the N
    prompt_tokens: int
    #: (Q, P) indices of the prompts, right-padded, and which entries are no padding
    prompts: Tensor
    prompt_mask: Tensor
    #: (B, S) the same of the completions
    completions: Tensor
    completion_mask: Tensor
    #: (B, P + S) indices of what a completion may look at, and (B, 1, S, P + S) at what each of its tokens does
    keys: Tensor
    attend: Tensor
    #: (B, T) index of the state that predicts each completion token
    predicting: Tensor


def lay_out(batch: Batch) -> Layout:
    """The layout of ``batch``."""
    device, owner = batch.completion_ids.device, batch.owner
    prompt_lengths = batch.prompt_mask.sum(-1)
    lengths = (batch.completion_mask.sum(-1) - 1).clamp(min=0)
    prompt_tokens = int(prompt_lengths.sum())
    total = prompt_tokens + int(lengths.sum())
    prompt_starts = prompt_lengths.cumsum(0) - prompt_lengths
    starts = prompt_tokens + lengths.cumsum(0) - lengths
    columns = torch.arange(int(prompt_lengths.max()), device=device)
    steps = torch.arange(int(lengths.max()), device=device)

    prompt_mask, mask = columns < prompt_lengths[:, None], steps < lengths[:, None]
    prompts = (prompt_starts[:, None] + columns).clamp(max=total - 1)
    completions = (starts[:, None] + steps).clamp(max=total - 1)
    causal = steps[None, :] <= steps[:, None]
    attend = torch.cat(
        [
            prompt_mask[owner][:, None, None].expand(-1, 1, len(steps), -1),
            causal.expand(len(owner), 1, -1, -1),
        ],
        dim=-1,
    )
    ids = torch.cat([batch.prompt_ids[batch.prompt_mask.bool()], batch.completion_ids[:, : len(steps)][mask]])
    positions = torch.cat([columns.expand_as(prompt_mask)[prompt_mask], (prompt_lengths[owner][:, None] + steps)[mask]])
    first = (prompt_starts + prompt_lengths - 1)[owner][:, None]
    later = torch.arange(batch.completion_ids.shape[1] - 1, device=device)
    predicting = torch.cat([first, (starts[:, None] + later).clamp(max=total - 1)], dim=-1)
    return Layout(
        ids, positions, prompt_tokens, prompts, prompt_mask, completions, mask,
        torch.cat([prompts[owner], completions], dim=-1), attend, predicting,
    )  # fmt: skip


def forward(backbone: Any, layout: Layout) -> Tensor:
    """Hidden states (N, H) after the last norm."""
    x = backbone.embed_tokens(layout.ids)
    cos, sin = (table[0] for table in backbone.rotary_emb(x, layout.positions[None]))
    for layer in backbone.layers:
        x = x + _attention(layer.self_attn, layer.input_layernorm(x), cos, sin, layout)
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    states: Tensor = backbone.norm(x)
    return states


def _attention(module: Any, x: Tensor, cos: Tensor, sin: Tensor, layout: Layout) -> Tensor:
    size, groups = module.head_dim, module.num_key_value_groups
    query, key, value = (
        project(x).unflatten(-1, (-1, size)) for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    query, key = apply_rotary_pos_emb(query, key, cos, sin, unsqueeze_dim=1)
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    # the rotation leaves query and key in float32; a CPU's attention in bfloat16 is eight times slower backwards
    value = value.to(query.dtype)
    with torch.autocast(x.device.type, enabled=False):
        prompts = _rows(query, layout.prompts), _rows(key, layout.prompts), _rows(value, layout.prompts)
        read = [_flat(functional.scaled_dot_product_attention(*prompts, is_causal=True), layout.prompt_mask)]
        if layout.completions.shape[1] > 0:
            rows = _rows(query, layout.completions), _rows(key, layout.keys), _rows(value, layout.keys)
            read.append(
                _flat(functional.scaled_dot_product_attention(*rows, attn_mask=layout.attend), layout.completion_mask)
            )
    output: Tensor = module.o_proj(torch.cat(read))
    return output


def _rows(states: Tensor, index: Tensor) -> Tensor:
    """(N, heads, d) as rows of a batch, (rows, heads, length, d)."""
    return states.flatten(1).index_select(0, index.flatten()).view(*index.shape, *states.shape[1:]).transpose(1, 2)


def _flat(states: Tensor, mask: Tensor) -> Tensor:
    """The inverse of :func:`_rows` for the entries that are no padding, (n, heads * d)."""
    return states.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, mask.flatten().nonzero()[:, 0])
