"""The language model that lm-eval asks: batched decoding with transformers.

lm-eval's own ``hf`` model strips the stop string and does not tell whether a completion ended or was cut,
which the truncation rate and the tool loop need; and what it draws depends on which requests share a batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TopPLogitsWarper,
)

from dsm_repro.evaluation.answering import AnsweringLM, Asked, Generation
from dsm_repro.evaluation.conversation import Conversation, ToolLoop
from dsm_repro.pipeline.cost import Cost, generation_flops
from dsm_repro.reasoning import formats
from dsm_repro.training.compaction import worth_compacting
from dsm_repro.training.models import model_shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Decoding:
    """``temperature`` 0 is greedy, else each answer is drawn with noise of its own.

    ``batch`` rows are decoded together; which ones has no influence beyond floating-point noise.
    """

    max_tokens: int
    temperature: float
    top_p: float
    batch: int
    seed: int


class TransformersLM(AnsweringLM):
    """Decodes with transformers."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        decoding: Decoding,
        cost: Cost,
        on_progress: Callable[[int], None],
        loop: ToolLoop | None = None,
    ) -> None:
        super().__init__(loop, on_progress)
        self.model, self.tokenizer, self.decoding, self.cost = model, tokenizer, decoding, cost
        self.shape = model_shape(model)
        self.context = getattr(model.config, "max_position_embeddings", None) or math.inf

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path)

    def write(
        self,
        contexts: Sequence[Conversation],
        stops: Sequence[str],
        asked: Sequence[Asked],
        on_progress: Callable[[int], None],
    ) -> list[Generation]:
        """Contexts of like length share a batch."""
        encoded = {context.prompt: self.tokenizer(context.prompt)["input_ids"] for context in contexts}
        prompts = [[*encoded[context.prompt], *self._passages(context)] for context in contexts]
        # requests of equal length stay in their order, so that the repeats of one stand together
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        found: dict[int, Generation] = {}
        for start in range(0, len(order), self.decoding.batch):
            rows = order[start : start + self.decoding.batch]
            noise = torch.stack([self._noise(asked[i]) for i in rows]) if self.decoding.temperature > 0 else None
            found.update(zip(rows, self._decode([prompts[i] for i in rows], noise, stops), strict=True))
            on_progress(min(start + self.decoding.batch, len(order)))
        return [found[i] for i in range(len(prompts))]

    def _passages(self, context: Conversation) -> list[int]:
        """Each passage encoded by itself, as fine-tuning has shown them."""
        return [token for ids in formats.encode(context.passages, self.tokenizer) for token in ids]

    def _noise(self, asked: Asked) -> Tensor:
        """What one answer is drawn with, (max_tokens,) uniform: of seed, task, mode, problem, repeat and round."""
        document = asked.request.doc
        name = f"{asked.request.task_name}_{document['mode']}/{document['id']}/{asked.repeat}"
        name = f"evaluate/{self.decoding.seed}/{name}" + (f"/{asked.round}" if asked.round else "")
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(self.decoding.max_tokens, generator=generator, dtype=torch.float64)

    @torch.no_grad()
    def _decode(self, prompts: Sequence[list[int]], noise: Tensor | None, stops: Sequence[str]) -> list[Generation]:
        """Completions of ``prompts``; equal prompts next to each other are read once. ``noise``: (rows, max_tokens)."""
        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        device = self.model.device
        ids, mask = ids.to(device), mask.to(device)
        first = [row == 0 or prompt != prompts[row - 1] for row, prompt in enumerate(prompts)]
        shared = width > 1 and not all(first)
        if shared:
            cache = self._read(ids, mask, torch.tensor(first, device=device))
        else:
            cache = DynamicCache(config=self.model.config)
        found = []
        written = self._write(ids, mask, cache, noise if noise is None else noise.to(device), stops)
        for prompt, one, reads in zip(prompts, written, first, strict=True):
            ended = self.tokenizer.eos_token_id in one.tokens
            total = len(prompt) + len(one.tokens)
            # of a prompt that was read before, only the last token passes again
            known = len(prompt) - 1 if shared and not reads else 0
            squares = float(total) ** 2 - float(known) ** 2
            self.cost.add_flops("generate", generation_flops(self.shape, len(prompt), total - known, squares))
            self.cost.add_tokens("generate", len(one.tokens))
            text = self.tokenizer.decode(one.tokens[:-1] if ended else one.tokens, skip_special_tokens=True)
            found.append(Generation(text, len(one.tokens), one.cut, beyond_context=total > self.context))
        return found

    def _write(
        self, ids: Tensor, mask: Tensor, cache: DynamicCache, noise: Tensor | None, stops: Sequence[str]
    ) -> list[_Row]:
        """What each row writes behind its prompt, ``ids`` and ``mask`` (rows, width).

        ``generate`` goes on with every row until the last one ends. It is interrupted where many have ended, and takes
        up the others again.
        """
        width, limit = ids.shape[1], self.decoding.max_tokens
        found: list[_Row | None] = [None] * len(ids)
        held = torch.arange(len(ids), device=ids.device)
        while True:
            ends = _Ends(self.tokenizer, stops, width, len(held))
            processors = LogitsProcessorList()
            if noise is not None:
                processors.append(_Draw(noise[held], self.decoding.temperature, self.decoding.top_p, width))
            ids = self.model.generate(
                ids,
                attention_mask=mask,
                past_key_values=cache,
                max_new_tokens=width + limit - ids.shape[1],
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
                do_sample=False,
                logits_processor=processors,
                stopping_criteria=StoppingCriteriaList([ends]),
            )
            full = ids.shape[1] - width == limit
            for row, tokens, length in zip(held.tolist(), ids[:, width:].tolist(), ends.lengths, strict=True):
                if length is not None or full:
                    found[row] = _Row(tokens[:length], cut=length is None)
            left = [row for row, length in enumerate(ends.lengths) if length is None]
            if full or not left:
                return [row for row in found if row is not None]
            held, ids = held[left], ids[left]
            mask = torch.nn.functional.pad(mask[left], (0, ids.shape[1] - mask.shape[1]), value=1)
            cache.batch_select_indices(torch.tensor(left, device=ids.device))

    def _read(self, ids: Tensor, mask: Tensor, first: Tensor) -> DynamicCache:
        """The cache of all but the last prompt token for every row, computed for the rows in ``first`` (rows,) only."""
        mask = mask[first, :-1]
        cache = DynamicCache(config=self.model.config)
        self.model(
            input_ids=ids[first, :-1],
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache.batch_select_indices(first.cumsum(0) - 1)
        return cache


@dataclass(frozen=True)
class _Row:
    """What one row wrote, up to and with its end-of-text token or its stop string. ``cut``: the limit ended it."""

    tokens: list[int]
    cut: bool


class _Ends(StoppingCriteria):  # type: ignore[misc]
    """Ends each row at its end-of-text token or a stop string, and all of them where only a part still writes.

    ``lengths`` says after how many tokens a row ended, None where it has not. What is written starts on a line of its
    own, so a stop string that starts with a line break may come first.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], width: int, rows: int) -> None:
        self.tokenizer, self.stops, self.width = tokenizer, stops, width
        # a token has at least one character of the stop string that it completes
        self.window = max(map(len, stops), default=0)
        self.lengths: list[int | None] = [None] * rows

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        length = input_ids.shape[1] - self.width
        last = input_ids[:, -1].tolist()
        writing = [row for row, ended in enumerate(self.lengths) if ended is None]
        texts = [""] * len(last)
        if self.stops:
            tails = input_ids[:, max(self.width, input_ids.shape[1] - self.window) :]
            texts = self.tokenizer.batch_decode(tails.tolist(), skip_special_tokens=True)
        start = "\n" if length <= self.window else ""
        for row in writing:
            if last[row] == self.tokenizer.eos_token_id or any(stop in start + texts[row] for stop in self.stops):
                self.lengths[row] = length
        over = torch.tensor([ended is not None for ended in self.lengths], device=input_ids.device)
        return torch.ones_like(over) if worth_compacting(len(last), self.lengths.count(None)) else over


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Makes a greedy decoder draw: each token by inverting the cumulative distribution at given noise.

    The library draws from one stream for the whole batch, so that an answer would depend on its neighbours.
    """

    def __init__(self, noise: Tensor, temperature: float, top_p: float, width: int) -> None:
        self.noise, self.temperature, self.width = noise, temperature, width
        self.nucleus = TopPLogitsWarper(top_p) if top_p < 1 else None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tempered = scores / self.temperature
        if self.nucleus is not None:
            tempered = self.nucleus(input_ids, tempered)
        cumulative = tempered.double().softmax(-1).cumsum(-1)
        target = self.noise[:, input_ids.shape[1] - self.width, None] * cumulative[:, -1:]
        token = torch.searchsorted(cumulative, target, right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)
