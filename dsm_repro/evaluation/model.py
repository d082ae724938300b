"""The language model that lm-eval asks: batched decoding with transformers.

lm-eval's own ``hf`` model strips the stop string and does not tell whether a completion ended or was cut,
which the truncation rate needs; and what it draws depends on which requests share a batch.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, TopPLogitsWarper

from dsm_repro.pipeline.cost import Cost, generation_flops
from dsm_repro.training.models import model_shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Generation:
    """One completion. ``truncated``: the length limit ended it, not the model."""

    text: str
    tokens: int
    truncated: bool


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


class TransformersLM(LM):  # type: ignore[misc]
    """Answers ``generate_until`` requests; keeps how each generation ended in ``generations[(task, doc, repeat)]``."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        decoding: Decoding,
        cost: Cost,
        on_progress: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.model, self.tokenizer, self.decoding = model, tokenizer, decoding
        self.cost, self.on_progress = cost, on_progress
        self.shape = model_shape(model)
        self.generations: dict[tuple[str, int, int], Generation] = {}

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Completions in the order of the requests. Prompts of like length share a batch; stop strings cut after.

        A task with ``repeats`` asks with the same request that many times.
        """
        distinct = {id(request): request for request in requests}
        encoded = {key: self.tokenizer(request.args[0])["input_ids"] for key, request in distinct.items()}
        prompts = [encoded[id(request)] for request in requests]
        repeats = _repeats(requests)
        # requests of equal length stay in their order, so that the repeats of one stand together
        order = sorted(range(len(requests)), key=lambda i: (len(prompts[i]), i))
        texts = [""] * len(requests)
        for start in range(0, len(order), self.decoding.batch):
            rows = order[start : start + self.decoding.batch]
            noise = None
            if self.decoding.temperature > 0:
                noise = torch.stack([self._noise(requests[i], repeats[i]) for i in rows])
            for i, generation in zip(rows, self._decode([prompts[i] for i in rows], noise), strict=True):
                request = requests[i]
                stops = request.args[1].get("until") or []
                text = _cut(generation.text, [stops] if isinstance(stops, str) else stops)
                key = (request.task_name, request.doc_id, repeats[i])
                self.generations[key] = Generation(text, generation.tokens, generation.truncated)
                texts[i] = text
            self.on_progress(min(start + self.decoding.batch, len(order)))
        return texts

    def _noise(self, request: Instance, repeat: int) -> Tensor:
        """What one answer is drawn with, (max_tokens,) uniform: of the seed, task, problem and repeat alone."""
        name = f"evaluate/{self.decoding.seed}/{request.task_name}/{request.doc['id']}/{repeat}"
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(self.decoding.max_tokens, generator=generator, dtype=torch.float64)

    @torch.no_grad()
    def _decode(self, prompts: Sequence[list[int]], noise: Tensor | None) -> list[Generation]:
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
        for prompt, row, reads in zip(prompts, output, first, strict=True):
            ended = eos in row
            tokens = row[: row.index(eos)] if ended else row
            written = len(tokens) + ended
            total = len(prompt) + written
            # of a prompt that was read before, only the last token passes again
            known = len(prompt) - 1 if shared and not reads else 0
            squares = float(total) ** 2 - float(known) ** 2
            self.cost.add_flops("generate", generation_flops(self.shape, len(prompt), total - known, squares))
            self.cost.add_tokens("generate", written)
            found.append(Generation(self.tokenizer.decode(tokens, skip_special_tokens=True), written, not ended))
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

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        raise TypeError("dsm tasks generate; a log-likelihood task needs lm-eval's own `hf` model.")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise TypeError("dsm tasks generate; a log-likelihood task needs lm-eval's own `hf` model.")


def _cut(text: str, stops: Sequence[str]) -> str:
    """``text`` up to the first stop string in it."""
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)] if ends else text


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


def _repeats(requests: Sequence[Instance]) -> list[int]:
    """Of each request, how many times it was asked before."""
    asked: Counter[int] = Counter()
    found = []
    for request in requests:
        found.append(asked[id(request)])
        asked[id(request)] += 1
    return found
