"""The answer of a completion that is more than words: a program, or a conversation with the tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from dsm_repro.reasoning import formats, programs
from dsm_repro.reasoning.answers import answer_to
from dsm_repro.reasoning.formats import Passage
from dsm_repro.rl.rewards import Completions, RewardFunction, Rewards, answers_in

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dsm_repro.reasoning.sandbox import Sandbox


@dataclass(frozen=True)
class ProgramAnswers:
    """Rewards completions that are programs (``rl.mode=pot``) by what these print, as the evaluation grades them."""

    reward: RewardFunction
    sandbox: Sandbox
    template: str

    def __call__(self, completions: Completions) -> Rewards:
        """Run the programs and reward what they print; how the runs went is added to the counts."""
        called = [formats.program_of(text, self.template) for text in completions.texts]
        ran = programs.run_distinct([program for program in called if program is not None], self.sandbox)
        executions = [None if program is None else ran[program] for program in called]
        printed = ["" if execution is None else execution.stdout for execution in executions]
        answers = [
            answer_to(problem.answer, "", output).answer
            for problem, output in zip(completions.problems, printed, strict=True)
        ]
        rewards = self.reward(replace(completions, answers=answers))
        return replace(rewards, counts={**rewards.counts, **programs.counts(executions)})


@dataclass(frozen=True)
class ToolAnswers:
    """Rewards completions that call the tool (``rl.mode=tool``), in the release's order of extraction.

    A boxed answer counts before the last output of a program, and that before a number of the text.
    """

    reward: RewardFunction
    tokenizer: PreTrainedTokenizerBase
    template: str

    def __call__(self, completions: Completions) -> Rewards:
        """Reward the answers; what the tool wrote is told from the policy's words by the batch, not by the text."""
        batch = completions.batch
        rows = zip(batch.completion_ids.tolist(), batch.written.tolist(), batch.lengths.tolist(), strict=True)
        texts = [
            formats.graded_text(self._passages(ids[:length], written[:length]), self.template)
            for ids, written, length in rows
        ]
        return self.reward(replace(completions, answers=answers_in(texts, completions.problems)))

    def _passages(self, ids: Sequence[int], written: Sequence[int]) -> list[Passage]:
        parts = [
            (bool(by_policy), [token for token, _ in part])
            for by_policy, part in groupby(zip(ids, written, strict=True), key=lambda pair: pair[1])
        ]
        texts = self.tokenizer.batch_decode([part for _, part in parts], skip_special_tokens=True)
        return [Passage(text, by_policy) for (by_policy, _), text in zip(parts, texts, strict=True)]
