"""A batch of completions and its forward pass: the prompt of a group is computed once for all its completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache

from dsm_repro.rl import packed
from dsm_repro.rl.sizes import HEAD_TOKENS


@dataclass(frozen=True)
class Batch:
    """B completions of Q prompts. P prompt positions, T completion positions."""

    #: (Q, P), left-padded
    prompt_ids: Tensor
    prompt_mask: Tensor
    #: (B,) the prompt of each completion, as an index into the Q prompts
    owner: Tensor
    #: (B, T), right-padded; the end-of-sequence token, where there is one, is part of the completion
    completion_ids: Tensor
    completion_mask: Tensor
    #: (B, T) 1 on the tokens that the policy wrote; a tool's output is read by the model and not learned from
    written: Tensor

    def __len__(self) -> int:
        return self.completion_ids.shape[0]

    @property
    def lengths(self) -> Tensor:
        """(B,) tokens in each completion."""
        return self.completion_mask.sum(-1)

    def rows(self, index: Tensor) -> Batch:
        """Some of the completions, with the padding that they do not need cut off."""
        prompts, owner = self.owner[index].unique(return_inverse=True)
        prompt_mask, mask = self.prompt_mask[prompts], self.completion_mask[index]
        start = self.prompt_ids.shape[1] - int(prompt_mask.sum(-1).max())
        stop = int(mask.sum(-1).max())
        return Batch(
            self.prompt_ids[prompts, start:],
            prompt_mask[:, start:],
            owner,
            self.completion_ids[index, :stop],
            mask[:, :stop],
            self.written[index, :stop],
        )

    def micro_batches(self, rows: int) -> Iterator[tuple[Tensor, Batch]]:
        """All completions in parts of at most ``rows``, those of like length together, with their indices."""
        order = self.lengths.argsort(stable=True)
        for index in order.split(rows):
            yield index, self.rows(index)


def concatenate(parts: Sequence[Batch], pad_id: int) -> Batch:
    """Batches one after another, padded to the widest."""
    if len(parts) == 1:
        return parts[0]
    prompt_width = max(part.prompt_ids.shape[1] for part in parts)
    width = max(part.completion_ids.shape[1] for part in parts)

    def left(name: str, fill: int) -> Tensor:
        rows = [getattr(part, name) for part in parts]
        return torch.cat([functional.pad(row, (prompt_width - row.shape[1], 0), value=fill) for row in rows])

    def right(name: str, fill: int) -> Tensor:
        rows = [getattr(part, name) for part in parts]
        return torch.cat([functional.pad(row, (0, width - row.shape[1]), value=fill) for row in rows])

    owners, prompts = [], 0
    for part in parts:
        owners.append(part.owner + prompts)
        prompts += len(part.prompt_ids)
    return Batch(
        left("prompt_ids", pad_id), left("prompt_mask", 0), torch.cat(owners),
        right("completion_ids", pad_id), right("completion_mask", 0), right("written", 0),
    )  # fmt: skip


def completion_hidden(backbone: nn.Module, batch: Batch) -> Tensor:
    """Hidden states (B, T, H) from which each completion token is predicted.

    ``backbone`` is the model without its head. Position t holds the state after reading the prompt and
    the t tokens before; gradients reach the prompt through its cached keys and values.
    """
    if packed.supported(backbone):
        layout = packed.lay_out(batch)
        states = packed.forward(backbone, layout)
        return states.index_select(0, layout.predicting.flatten()).view(*layout.predicting.shape, -1)
    return _padded_hidden(backbone, batch)


def _padded_hidden(backbone: nn.Module, batch: Batch) -> Tensor:
    """:func:`completion_hidden` through the model's forward pass: the prompts, then the completions on their cache."""
    prompts = batch.prompt_ids.shape[0]
    prompt_lengths = batch.prompt_mask.sum(-1)
    output = backbone(
        input_ids=batch.prompt_ids,
        attention_mask=batch.prompt_mask,
        position_ids=(batch.prompt_mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=DynamicCache(config=backbone.config),
        use_cache=True,
    )
    first: Tensor = output.last_hidden_state[batch.owner, -1:]
    steps = batch.completion_ids.shape[1] - 1
    if steps == 0:
        return first
    cache = output.past_key_values
    if len(batch) != prompts or bool((batch.owner != torch.arange(prompts, device=batch.owner.device)).any()):
        cache.batch_select_indices(batch.owner)
    device = batch.completion_ids.device
    positions = torch.arange(steps, device=device)
    causal = positions[None, :] <= positions[:, None]
    attend = torch.cat(
        [
            batch.prompt_mask[batch.owner].bool()[:, None, None, :].expand(-1, 1, steps, -1),
            causal[None, None].expand(len(batch), 1, -1, -1),
        ],
        dim=-1,
    )
    rest = backbone(
        input_ids=batch.completion_ids[:, :-1],
        attention_mask=attend,
        position_ids=prompt_lengths[batch.owner][:, None] + positions[None],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return torch.cat([first, rest], dim=1)


def completion_logps(model: Any, batch: Batch, temperature: float) -> Tensor:
    """log pi of each token that the policy wrote, at ``temperature``; (B, T), zero elsewhere.

    The head is applied to these tokens only, never to prompts, a tool's output or padding.
    """
    mask = batch.written.bool()
    targets = batch.completion_ids[mask]
    if packed.supported(model.base_model):
        layout = packed.lay_out(batch)
        states = packed.forward(model.base_model, layout).index_select(0, layout.predicting[mask])
    else:
        states = _padded_hidden(model.base_model, batch)[mask]

    def score(states: Tensor, targets: Tensor) -> Tensor:
        logits = model.get_output_embeddings()(states)
        logits = (logits if logits.dtype == torch.float64 else logits.float()) / temperature
        return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)

    if len(states) <= HEAD_TOKENS:
        scored = score(states, targets)
    else:
        parts = zip(states.split(HEAD_TOKENS), targets.split(HEAD_TOKENS), strict=True)
        scored = torch.cat([checkpoint(score, part, target, use_reentrant=False) for part, target in parts])
    return scored.new_zeros(mask.shape).masked_scatter(mask, scored)


def logps_in_parts(
    model: Any, batch: Batch, parts: Iterable[tuple[Tensor, Batch]], temperature: float, dtype: torch.dtype
) -> Tensor:
    """:func:`completion_logps` of ``parts`` of a batch, each with its rows' indices, without gradients.

    (B, T) in ``dtype``; zero in rows that no part has.
    """
    result = torch.zeros(batch.completion_ids.shape, dtype=dtype, device=batch.completion_ids.device)
    with torch.no_grad():
        for index, part in parts:
            logps = completion_logps(model, part, temperature)
            result[index, : logps.shape[1]] = logps.to(dtype)
    return result
