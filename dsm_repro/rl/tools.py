"""Rollouts in which the policy calls a tool: it writes a program, the sandbox runs it, the policy reads and goes on.

Completions are carried from round to round as token ids and never encoded again: what the policy is trained on is what
it drew. The tool's answer is part of the completion and of the length limit; the policy reads it and learns nothing
from it (``Batch.written`` is 0 there).

``sample`` knows no stop strings, so a completion is cut behind its call afterwards: up to the limit, tokens are drawn
that nobody reads (``tokens_discarded``), and a further round reads prompt and completion anew. Neither is in the FLOPs
of the budget, which count the tokens of the completions, as a sampler that stops and keeps its cache would spend them.

A program that prints the time or an address gives a rollout that another run does not repeat.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from dsm_repro.config.evaluation_schema import ToolConfig
from dsm_repro.reasoning import formats, programs
from dsm_repro.reasoning.formats import Passage
from dsm_repro.rl import rollouts
from dsm_repro.rl.batch import Batch
from dsm_repro.rl.rollouts import Rollouts, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dsm_repro.reasoning.sandbox import Execution


@dataclass
class _Row:
    """A completion as it grows."""

    ids: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    #: what the policy wrote, between the tool's answers
    passages: list[str] = field(default_factory=list)
    #: the last passage ends in a call that nobody has answered
    calling: bool = False
    truncated: bool = False

    def add(self, ids: Sequence[int], logps: Sequence[float], written: int) -> None:
        self.ids += ids
        self.logps += logps
        self.written += [written] * len(ids)


@dataclass(frozen=True)
class ToolSampler:
    """A sampler (see ``exploration.Sampler``) whose completions may call the tool, ``tool.rounds`` times at most.

    As in the loop of the DeepSeek-Math release, a round is one stretch of writing and the program that it ends in: the
    answer to the last round's program is appended, and nobody writes behind it.
    """

    tokenizer: PreTrainedTokenizerBase
    template: str
    tool: ToolConfig
    run: programs.Runner

    def __call__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        group_size: int,
        sampling: Sampling,
        eos_ids: Sequence[int],
        pad_id: int,
        generator: torch.Generator,
    ) -> Rollouts:
        """Draw ``group_size`` completions for each prompt; ``generator`` is a fresh one of this exploration stage."""
        seed, limit = generator.initial_seed(), sampling.max_length
        rows = [_Row() for _ in range(len(prompts) * group_size)]
        executions: list[Execution | None] = []
        discarded = 0
        first: Rollouts | None = None
        active = list(range(len(rows)))
        for number in range(self.tool.rounds):
            if first is None:
                drawn = first = rollouts.sample(model, prompts, group_size, sampling, eos_ids, pad_id, generator)
            else:
                whole = [[*prompts[row // group_size], *rows[row].ids] for row in active]
                room = max(limit - len(rows[row].ids) for row in active)
                shorter = replace(sampling, max_length=room)
                generator.manual_seed(_round_seed(seed, number))
                with _RowNoise(generator, torch.tensor(active), len(rows)):
                    drawn = rollouts.sample(model, whole, 1, shorter, eos_ids, pad_id, generator)
            discarded += self._take([rows[row] for row in active], drawn, limit)
            active = [row for row in active if rows[row].calling]
            if not active:
                break
            executions += self._answer([rows[row] for row in active], limit)
            active = [row for row in active if not rows[row].truncated]
            if not active:
                break
        assert first is not None
        events = {
            **programs.counts(executions),
            "tool_completions": sum(len(row.written) > sum(row.written) or row.calling for row in rows),
            # stretches of writing behind an answer of the tool
            "tool_rounds": sum(len(row.passages) - 1 for row in rows),
            "tool_tokens": sum(len(row.written) - sum(row.written) for row in rows),
            "tokens_discarded": discarded,
        }
        return _joined(first, rows, pad_id, events)

    def _take(self, rows: Sequence[_Row], drawn: Rollouts, limit: int) -> int:
        """Put what was drawn behind each row, up to its call or its limit; how many tokens stood behind calls."""
        discarded = 0
        lengths = drawn.batch.lengths.tolist()
        all_ids = [ids[:length] for ids, length in zip(drawn.batch.completion_ids.tolist(), lengths, strict=True)]
        texts = self.tokenizer.batch_decode(all_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for row, ids, text, logps, truncated in zip(
            rows, all_ids, texts, drawn.logps.tolist(), drawn.truncated.tolist(), strict=True
        ):
            room = limit - len(row.ids)
            end = self._call_end(ids) if formats.calls_tool(text, self.template) else len(ids) + 1
            row.calling = end <= min(len(ids), room)
            kept = min(end, len(ids), room)
            row.truncated = not row.calling and (truncated or len(ids) > room)
            row.add(ids[:kept], logps[:kept], written=1)
            row.passages.append(self._decode(ids[:kept]))
            discarded += min(len(ids), room) - kept
        return discarded

    def _answer(self, rows: Sequence[_Row], limit: int) -> list[Execution | None]:
        """Run what these rows call, and put the answers behind them as far as they have room."""
        called = [formats.program_called(row.passages, self.template) for row in rows]
        ran = self.run([program for program in called if program is not None])
        executions = [None if program is None else ran[program] for program in called]
        answers = []
        for row, execution in zip(rows, executions, strict=True):
            says = programs.tool_says(execution, self.template, self.tool.output_characters)
            answers.append(Passage(formats.tool_answer(says, self.template, row.passages[-1]), written=False))
        for row, ids in zip(rows, formats.encode(answers, self.tokenizer), strict=True):
            room = limit - len(row.ids)
            row.add(ids[:room], [0.0] * min(len(ids), room), written=0)
            # an answer that fills the limit leaves no token to write
            row.truncated = len(ids) >= room
        return executions

    def _call_end(self, ids: Sequence[int]) -> int:
        """The least number of tokens whose text holds the call."""
        return bisect_left(
            range(len(ids) + 1), True, key=lambda count: formats.calls_tool(self._decode(ids[:count]), self.template)
        )

    def _decode(self, ids: Sequence[int]) -> str:
        # as the reward reads completions; a program with its spaces tidied is another program
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class _RowNoise(TorchFunctionMode):
    """Inside, a sampler that draws for some rows of the stage gets their part of the noise of all rows."""

    def __init__(self, generator: torch.Generator, rows: torch.Tensor, total: int) -> None:
        super().__init__()
        self.generator, self.rows, self.total = generator, rows, total

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if options.get("generator") is not self.generator:
            return function(*args, **options)
        if function is not torch.rand or tuple(args) != (len(self.rows),):
            raise TypeError(f"{function}{tuple(args)}: a sampler draws noise by torch.rand(rows, generator=...) alone")
        return torch.rand(self.total, **options)[self.rows]


def _round_seed(seed: int, number: int) -> int:
    """The noise of a further round: it depends on the stage's seed and the round's number alone."""
    digest = hashlib.sha256(f"tool round/{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _joined(first: Rollouts, rows: Sequence[_Row], pad_id: int, events: dict[str, int]) -> Rollouts:
    """The rows as one batch on the prompts of the first round."""
    width = max(len(row.ids) for row in rows)
    device = first.batch.completion_ids.device

    def padded(values: Sequence[list[Any]], fill: float, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor([v + [fill] * (width - len(v)) for v in values], dtype=like.dtype, device=device)

    batch = Batch(
        prompt_ids=first.batch.prompt_ids,
        prompt_mask=first.batch.prompt_mask,
        owner=first.batch.owner,
        completion_ids=padded([row.ids for row in rows], pad_id, first.batch.completion_ids),
        completion_mask=padded([[1] * len(row.ids) for row in rows], 0, first.batch.completion_mask),
        written=padded([row.written for row in rows], 0, first.batch.written),
    )
    logps = padded([row.logps for row in rows], 0.0, first.logps)
    return Rollouts(batch, logps, torch.tensor([row.truncated for row in rows], device=device), events)
