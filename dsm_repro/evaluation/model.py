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
        pad, eos = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        ids = torch.full((len(prompts), width), pad)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        device = self.model.device
        ids, mask = ids.to(device), mask.to(device)
        first = [row == 0 or prompt != prompts[row - 1] for row, prompt in enumerate(prompts)]
        shared = width > 1 and not all(first)
        extra = {"past_key_values": self._read(ids, mask, torch.tensor(first, device=device))} if shared else {}
        if noise is not None:
            draw = _Draw(noise.to(device), self.decoding.temperature, self.decoding.top_p, width)
            extra["logits_processor"] = LogitsProcessorList([draw])
        stop = _Stop(self.tokenizer, stops, width, len(prompts)) if stops else None
        if stop is not None:
            extra["stopping_criteria"] = StoppingCriteriaList([stop])
        output = self.model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=self.decoding.max_tokens,
            pad_token_id=pad,
            eos_token_id=eos,
            do_sample=False,
            **extra,
        )[:, width:].tolist()
        found = []
        lengths = [None] * len(prompts) if stop is None else stop.lengths
        for prompt, row, reads, length in zip(prompts, output, first, lengths, strict=True):
            ended = length is None and eos in row
            tokens = row[: row.index(eos)] if ended else row[:length]
            written = len(tokens) + ended
            total = len(prompt) + written
            # of a prompt that was read before, only the last token passes again
            known = len(prompt) - 1 if shared and not reads else 0
            squares = float(total) ** 2 - float(known) ** 2
            self.cost.add_flops("generate", generation_flops(self.shape, len(prompt), total - known, squares))
            self.cost.add_tokens("generate", written)
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            cut = not ended and length is None
            found.append(Generation(text, written, cut, beyond_context=total > self.context))
        return found

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


class _Stop(StoppingCriteria):  # type: ignore[misc]
    """Ends each row where it has written a stop string; ``lengths`` says after how many tokens, None where it has not.

    What is written starts on a line of its own, so a stop string that starts with a line break may come first.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str], width: int, rows: int) -> None:
        self.tokenizer, self.stops, self.width = tokenizer, stops, width
        # a token has at least one character of the stop string that it completes
        self.window = max(map(len, stops))
        self.lengths: list[int | None] = [None] * rows
        self.over = [False] * rows

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        length = input_ids.shape[1] - self.width
        tails = input_ids[:, max(self.width, input_ids.shape[1] - self.window) :].tolist()
        start = "\n" if length <= self.window else ""
        for row, text in enumerate(self.tokenizer.batch_decode(tails, skip_special_tokens=True)):
            # behind its end-of-text token a row is padding
            self.over[row] = self.over[row] or tails[row][-1] == self.tokenizer.eos_token_id
            if not self.over[row] and any(stop in start + text for stop in self.stops):
                self.lengths[row] = length
                self.over[row] = True
        return torch.tensor(self.over, device=input_ids.device)


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
