"""The language model that lm-eval asks: batched decoding with transformers.

lm-eval's own ``hf`` model strips the stop string and does not tell whether a completion ended or was cut,
which the truncation rate and the tool loop need; and what it draws depends on which requests share a batch.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from torch import Tensor
from transformers import (
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TopPLogitsWarper,
)

from dsm_repro.evaluation.conversation import Conversation, Stretch, ToolLoop
from dsm_repro.pipeline.cost import Cost, generation_flops
from dsm_repro.reasoning import formats
from dsm_repro.training.models import model_shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Generation:
    """One completion, with its stop string if one ended it. ``truncated``: the length limit ended it."""

    text: str
    tokens: int
    truncated: bool
    #: where the tool took part: who wrote what, and what was run
    conversation: Conversation | None = None


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
        loop: ToolLoop | None = None,
    ) -> None:
        """``loop`` holds the conversations of requests whose document has the mode ``tool``."""
        super().__init__()
        self.model, self.tokenizer, self.decoding, self.loop = model, tokenizer, decoding, loop
        self.cost, self.on_progress = cost, on_progress
        self.shape = model_shape(model)
        self.generations: dict[tuple[str, int, int], Generation] = {}

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Completions in the order of the requests; of a conversation with the tool, as it is graded.

        A task with ``repeats`` asks with the same request that many times.
        """
        repeats = _repeats(requests)
        if self.loop is not None and requests[0].doc["mode"] == "tool":
            found = self._converse(self.loop, requests, repeats)
        else:
            distinct = {id(request): request for request in requests}
            encoded = {key: self.tokenizer(request.args[0])["input_ids"] for key, request in distinct.items()}
            stops = [_stops(request) for request in requests]
            prompts = [encoded[id(request)] for request in requests]
            drawn = self._write(prompts, stops[0], list(zip(requests, repeats, strict=True)), self.on_progress)
            found = [replace(one, text=_cut(one.text, until)) for one, until in zip(drawn, stops, strict=True)]
        for request, repeat, generation in zip(requests, repeats, found, strict=True):
            self.generations[(request.task_name, request.doc_id, repeat)] = generation
        return [self._graded(generation) for generation in found]

    def _converse(self, loop: ToolLoop, requests: Sequence[Instance], repeats: Sequence[int]) -> list[Generation]:
        """Each request's conversation with the tool."""
        asked, rounds = list(zip(requests, repeats, strict=True)), loop.tool.rounds
        call = formats.call_of(loop.template)

        def write(conversations: Sequence[Conversation], number: int) -> list[Stretch]:
            def on_progress(in_round: int) -> None:
                done = len(requests) - len(conversations) + in_round
                self.on_progress((number * len(requests) + done) // rounds)

            prompts = [self._ids(conversation) for conversation in conversations]
            drawn = self._write(prompts, [call], [asked[c.number] for c in conversations], on_progress, number)
            stopped = [formats.calls_tool(one.text, loop.template) for one in drawn]
            return [
                Stretch(one.text, one.tokens, ended=not (one.truncated or called), stopped=called)
                for one, called in zip(drawn, stopped, strict=True)
            ]

        held = loop([request.args[0] for request in requests], write)
        self.on_progress(len(requests))
        return [Generation(one.text, one.tokens, one.truncated, one) for one in held]

    def _ids(self, conversation: Conversation) -> list[int]:
        """The prompt and each passage encoded by itself, as fine-tuning has shown them."""
        passages = formats.encode(conversation.passages, self.tokenizer)
        return [*self.tokenizer(conversation.prompt)["input_ids"], *(token for ids in passages for token in ids)]

    def _graded(self, generation: Generation) -> str:
        if generation.conversation is None or self.loop is None:
            return generation.text
        return formats.graded_text(generation.conversation.passages, self.loop.template)

    def _write(
        self,
        prompts: Sequence[list[int]],
        stops: Sequence[str],
        asked: Sequence[tuple[Instance, int]],
        on_progress: Callable[[int], None],
        round_number: int = 0,
    ) -> list[Generation]:
        """What the model writes behind each prompt, up to a stop string. Prompts of like length share a batch."""
        # requests of equal length stay in their order, so that the repeats of one stand together
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        found: dict[int, Generation] = {}
        for start in range(0, len(order), self.decoding.batch):
            rows = order[start : start + self.decoding.batch]
            noise = None
            if self.decoding.temperature > 0:
                noise = torch.stack([self._noise(*asked[i], round_number) for i in rows])
            found.update(zip(rows, self._decode([prompts[i] for i in rows], noise, stops), strict=True))
            on_progress(min(start + self.decoding.batch, len(order)))
        return [found[i] for i in range(len(prompts))]

    def _noise(self, request: Instance, repeat: int, round_number: int) -> Tensor:
        """What one answer is drawn with, (max_tokens,) uniform: of seed, task, mode, problem, repeat and round."""
        name = f"evaluate/{self.decoding.seed}/{request.task_name}_{request.doc['mode']}/{request.doc['id']}/{repeat}"
        if round_number:
            name = f"{name}/{round_number}"
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
            found.append(Generation(text, written, truncated=not ended and length is None))
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


def _stops(request: Instance) -> list[str]:
    until = request.args[1].get("until") or []
    return [until] if isinstance(until, str) else list(until)


def _cut(text: str, stops: Sequence[str]) -> str:
    """``text`` up to the first stop string in it."""
    ends = [text.index(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)] if ends else text


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


def _repeats(requests: Sequence[Instance]) -> list[int]:
    """Of each request, how many times it was asked before."""
    asked: Counter[int] = Counter()
    found = []
    for request in requests:
        found.append(asked[id(request)])
        asked[id(request)] += 1
    return found
