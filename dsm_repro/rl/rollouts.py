"""Sampling completions from the policy: a lean batched decoder for one exploration stage.

What it does beyond ``generate``: the prompt of a group is read once and its cache repeated G times, keys
and values are written into buffers of their final size, rows that have finished leave the batch, and each
token is drawn from noise that depends on (seed, step, position, row) only, so that a resumed run continues
with the same completions. It returns the log-probabilities of what it drew. A small Llama on a CPU is decoded
by ``llama.py``, every other model by its own modules.

Not covered: beam search, logits processors, encoder-decoder models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from dsm_repro.rl import llama
from dsm_repro.rl.batch import Batch
from dsm_repro.training.compaction import worth_compacting
from dsm_repro.training.models import check_length


def check_room(model: PreTrainedModel, prompts: Sequence[Sequence[int]], limit: int) -> None:
    """A completion of ``limit`` tokens must fit behind the longest prompt (token ids). Raises ConfigError."""
    longest = max(map(len, prompts))
    check_length(model, longest + limit, f"longest prompt ({longest}) + rl.max_completion_length")


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn. ``temperature`` 0 is greedy; ``top_p`` 1 is the whole distribution.

    ``rows`` are written at once, None: all of them. It bounds the memory of keys and values, and a row draws the same
    tokens whichever others are written with it.
    """

    max_length: int
    temperature: float
    top_p: float
    rows: int | None = None


@dataclass(frozen=True)
class Rollouts:
    """B completions in ``batch``, the G of one prompt in consecutive rows."""

    batch: Batch
    #: (B, T) log pi_old of each drawn token under the tempered, unrestricted distribution; 0 on padding
    logps: Tensor
    #: (B,) True where the length limit ended the completion
    truncated: Tensor
    #: what happened while a tool was used, counted; shown in the metrics
    events: dict[str, int] = field(default_factory=dict)
    #: (B, T) what the engine that drew them says of the same tokens, where that is not this package
    sampler_logps: Tensor | None = None


class _BufferLayer(DynamicLayer):
    """A layer of the cache that owns room for every position instead of growing by concatenation."""

    def __init__(self, keys: Tensor, values: Tensor, length: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        used = keys.shape[-2]
        self._keys = keys.new_empty((*keys.shape[:2], length, keys.shape[-1]))
        self._values = values.new_empty((*values.shape[:2], length, values.shape[-1]))
        self._keys[:, :, :used], self._values[:, :, :used] = keys, values
        self.keys, self.values = self._keys[:, :, :used], self._values[:, :, :used]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        self._keys[:, :, start:end], self._values[:, :, start:end] = key_states, value_states
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        used = self.keys.shape[-2]
        self._keys, self._values = self._keys[indices], self._values[indices]
        self.keys, self.values = self._keys[:, :, :used], self._values[:, :, :used]


def noise_of(name: str) -> torch.Generator:
    """A CPU generator whose noise depends on ``name`` and nothing else."""
    digest = hashlib.sha256(name.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def step_generator(seed: int | str, step: int) -> torch.Generator:
    """The noise of one exploration stage."""
    return noise_of(f"rollout/{seed}/{step}")


def draw(logits: Tensor, noise: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Draw one token per row by inverting the cumulative distribution.

    Args:
        logits: (b, V). noise: (b,) uniform in [0, 1).

    Returns:
        tokens (b,) and their log-probabilities (b,) at the temperature, before nucleus truncation: the
        policy whose objective is optimised is the tempered one, truncation is part of sampling only.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if sampling.temperature == 0.0:
        logps = logits.log_softmax(-1)
        tokens = logits.argmax(-1)
        return tokens, logps.gather(-1, tokens[:, None])[:, 0]
    logps = (logits / sampling.temperature).log_softmax(-1)
    probabilities = logps.double().exp()
    if sampling.top_p < 1.0:
        ordered, order = probabilities.sort(descending=True, stable=True)
        # the smallest set whose mass reaches top_p: a token stays while the mass before it is below top_p
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= sampling.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    cumulative = probabilities.cumsum(-1)
    target = noise[:, None].to(cumulative) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[-1] - 1)
    return tokens[:, 0], logps.gather(-1, tokens)[:, 0]


def left_pad(prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Token ids and mask, (len(prompts), longest prompt) each."""
    width = max(len(prompt) for prompt in prompts)
    ids = [[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def sample(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    group_size: int,
    sampling: Sampling,
    eos_ids: Sequence[int],
    pad_id: int,
    generator: torch.Generator,
) -> Rollouts:
    """Draw ``group_size`` completions for each prompt, given as token ids."""
    ids, mask = left_pad(prompts, pad_id, model.device)
    with torch.inference_mode():
        written = _Written(len(prompts) * group_size, sampling, eos_ids, pad_id, generator, model.device)
        _decode(model, ids, mask, group_size, written)
    # tensors made in inference mode cannot enter autograd; copies made outside can
    width = int(written.lengths.max())
    kept = (torch.arange(width, device=ids.device)[None] < written.lengths[:, None]).long()
    return Rollouts(
        batch=Batch(
            prompt_ids=ids,
            prompt_mask=mask,
            owner=torch.arange(len(prompts), device=ids.device).repeat_interleave(group_size),
            completion_ids=written.tokens[:, :width].clone(),
            completion_mask=kept,
            written=kept,
        ),
        logps=written.logps[:, :width].clone(),
        truncated=written.truncated.clone(),
    )


class Decoder(Protocol):
    """Rows that are being written, whatever computes them."""

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token of each row, (b,); the logits of the next, (b, V)."""


class _ModuleDecoder:
    """The general decoder: the model's own forward pass, once per token."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, mask: Tensor, limit: int) -> None:
        self.model, self.cache = model, cache
        self.used = mask.shape[1]
        for index, layer in enumerate(cache.layers):
            if type(layer) is DynamicLayer:
                cache.layers[index] = _BufferLayer(layer.keys, layer.values, self.used + limit)
        self.position = mask.sum(-1)
        self.attend = torch.ones((len(mask), 1, 1, self.used + limit), dtype=torch.bool, device=mask.device)
        self.attend[:, 0, 0, : self.used] = mask.bool()

    def keep(self, rows: Tensor) -> None:
        self.cache.batch_select_indices(rows)
        self.position, self.attend = self.position[rows], self.attend[rows]

    def step(self, tokens: Tensor) -> Tensor:
        self.used += 1
        logits: Tensor = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.attend[..., : self.used],
            position_ids=self.position[:, None],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        self.position = self.position + 1
        return logits


class _Written:
    """All rows of the stage as they are written, and the noise that they are drawn from."""

    def __init__(
        self, rows: int, sampling: Sampling, eos_ids: Sequence[int], pad_id: int, generator: torch.Generator,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.rows, self.sampling, self.generator, self.device = rows, sampling, generator, device
        limit = sampling.max_length
        self.ends = torch.tensor(list(eos_ids), device=device)
        self.tokens = torch.full((rows, limit), pad_id, device=device)
        self.logps = torch.zeros((rows, limit), device=device)
        self.lengths = torch.full((rows,), limit, device=device)
        self.truncated = torch.ones(rows, dtype=torch.bool, device=device)
        self._noise: list[Tensor] = []

    def noise(self, position: int) -> Tensor:
        """(rows,) for every row, held or not: what a row draws must not depend on which others are left."""
        while len(self._noise) <= position:
            drawn = torch.rand(self.rows, generator=self.generator, dtype=torch.float64)
            self._noise.append(drawn.to(self.device))
        return self._noise[position]

    def write(self, held: Tensor, logits: Tensor, decoder: Decoder) -> None:
        """Write the rows ``held``, indices into all rows, to their ends; ``logits`` are those of their first tokens."""
        if self.logps.dtype != torch.promote_types(logits.dtype, torch.float32):
            self.logps = self.logps.to(torch.promote_types(logits.dtype, torch.float32))
        limit = self.sampling.max_length
        writing = torch.ones(len(held), dtype=torch.bool, device=self.device)
        for t in range(limit):
            token, logp = draw(logits, self.noise(t)[held], self.sampling)
            now = held[writing]
            self.tokens[now, t], self.logps[now, t] = token[writing], logp[writing]
            stopped = writing & torch.isin(token, self.ends)
            self.lengths[held[stopped]], self.truncated[held[stopped]] = t + 1, False
            writing = writing & ~stopped
            remaining = int(writing.sum())
            if remaining == 0 or t + 1 == limit:
                break
            if worth_compacting(len(held), remaining):
                keep = writing.nonzero()[:, 0]
                decoder.keep(keep)
                held, token = held[keep], token[keep]
                writing = torch.ones(len(keep), dtype=torch.bool, device=self.device)
            logits = decoder.step(token)


def _decode(model: PreTrainedModel, ids: Tensor, mask: Tensor, group_size: int, written: _Written) -> None:
    """Write every row, as many at once as ``Sampling.rows`` allows."""
    weights = llama.lay_out(model, ids.shape[1] + written.sampling.max_length) if llama.supported(model) else None
    held = torch.arange(written.rows, device=ids.device)
    for rows in held.split(written.sampling.rows or written.rows):
        owner = rows // group_size
        first, last = int(owner[0]), int(owner[-1]) + 1
        _decode_part(model, ids[first:last], mask[first:last], owner - first, rows, written, weights)


def _decode_part(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, owner: Tensor, rows: Tensor, written: _Written,
    weights: llama.LlamaWeights | None,
) -> None:  # fmt: skip
    """Read these prompts once and write ``rows``, whose prompts are ``owner``."""
    limit = written.sampling.max_length
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=DynamicCache(config=model.config),
        use_cache=True,
        logits_to_keep=1,
    )
    cache, logits = output.past_key_values, output.logits[:, -1]
    if weights is None:
        cache.batch_select_indices(owner)
        written.write(rows, logits[owner], _ModuleDecoder(model, cache, mask[owner], limit))
        return
    prompts = [(layer.keys[owner], layer.values[owner]) for layer in cache.layers]
    written.write(rows, logits[owner], llama.LlamaDecoder(weights, prompts, mask[owner], limit))
