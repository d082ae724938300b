"""The language model that lm-eval asks: batched decoding with transformers, and for programs their execution.

lm-eval's own ``hf`` model strips the stop string and does not tell whether a completion ended or was cut,
which the truncation rate needs; and a program has to run between generation and scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

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
    """``temperature`` 0 is greedy. ``batch`` rows are decoded together."""

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
        """Completions in the order of the requests. Prompts of like length share a batch; stop strings cut after."""
        encoded = [self.tokenizer(request.args[0])["input_ids"] for request in requests]
        order = sorted(range(len(requests)), key=lambda i: (len(encoded[i]), i))
        texts = [""] * len(requests)
        generator = torch.Generator().manual_seed(self.decoding.seed)
        for start in range(0, len(order), self.decoding.batch):
            rows = order[start : start + self.decoding.batch]
            for i, generation in zip(rows, self._decode([encoded[i] for i in rows], generator), strict=True):
                request = requests[i]
                stops = request.args[1].get("until") or []
                text = _cut(generation.text, [stops] if isinstance(stops, str) else stops)
                key = (request.task_name, request.doc_id, request.idx)
                self.generations[key] = Generation(text, generation.tokens, generation.truncated)
                texts[i] = text
            self.on_progress(min(start + self.decoding.batch, len(order)))
        return texts

    @torch.no_grad()
    def _decode(self, prompts: Sequence[list[int]], generator: torch.Generator) -> list[Generation]:
        width = max(map(len, prompts))
        pad, eos = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        ids = torch.full((len(prompts), width), pad)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        sampling: dict[str, Any] = {"do_sample": False}
        if self.decoding.temperature > 0:
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            warmth, nucleus = self.decoding.temperature, self.decoding.top_p
            sampling = {"do_sample": True, "temperature": warmth, "top_p": nucleus, "top_k": 0}
        output = self.model.generate(
            ids.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            max_new_tokens=self.decoding.max_tokens,
            pad_token_id=pad,
            eos_token_id=eos,
            **sampling,
        )[:, width:].tolist()
        found = []
        for prompt, row in zip(prompts, output, strict=True):
            ended = eos in row
            tokens = row[: row.index(eos)] if ended else row
            written = len(tokens) + ended
            total = len(prompt) + written
            self.cost.add_flops("generate", generation_flops(self.shape, len(prompt), total, float(total) ** 2))
            self.cost.add_tokens("generate", written)
            found.append(Generation(self.tokenizer.decode(tokens, skip_special_tokens=True), written, not ended))
        return found

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        raise TypeError("dsm tasks generate; a log-likelihood task needs lm-eval's own `hf` model.")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise TypeError("dsm tasks generate; a log-likelihood task needs lm-eval's own `hf` model.")


def _cut(text: str, stops: Sequence[str]) -> str:
    """``text`` up to the first stop string in it."""
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)] if ends else text
