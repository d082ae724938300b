"""What tests of tool-integrated rollouts share: a policy that follows a script, and a tool that needs no sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from dsm_repro.config.evaluation_schema import ToolConfig
from dsm_repro.reasoning.sandbox import Execution
from dsm_repro.rl import rollouts, tools
from dsm_repro.rl.batch import Batch, completion_logps
from dsm_repro.rl.rollouts import Rollouts, Sampling, step_generator

if TYPE_CHECKING:
    import pytest
    from transformers import PreTrainedTokenizerBase

#: (prompt and what has been written so far as text, row of this call) -> what the policy writes next, as token ids
Script = Callable[[str, int], list[int]]


def printed(stdout: str, status: str = "ok", error: str = "") -> Execution:
    return Execution(status, stdout, error, 0.0, "none")


def say(text: str) -> Callable[[Sequence[str]], dict[str, Execution]]:
    """A tool that says the same of every program."""
    return lambda programs: {program: printed(text) for program in programs}


def make_sampler(
    tokenizer: PreTrainedTokenizerBase,
    run: Callable[[Sequence[str]], dict[str, Execution]],
    rounds: int = 2,
    template: str = "miniature",
) -> tools.ToolSampler:
    return tools.ToolSampler(tokenizer, template, ToolConfig(rounds=rounds), run)


def draw(sampler: tools.ToolSampler, model: Any, prompts: Sequence[Sequence[int]], group: int, limit: int) -> Rollouts:
    return sampler(model, prompts, group, Sampling(limit, 1.0, 1.0), [1], 0, step_generator(0, 0))


def follow(
    monkeypatch: pytest.MonkeyPatch, tokenizer: PreTrainedTokenizerBase, script: Script
) -> list[Sequence[Sequence[int]]]:
    """Let the policy write ``script`` in place of what it would draw; the prompts of each round are kept.

    Log-probabilities are the model's own, of the scripted tokens.
    """
    asked: list[Sequence[Sequence[int]]] = []

    def sample(
        model: Any, prompts: Sequence[Sequence[int]], group_size: int, sampling: Sampling, eos_ids: Sequence[int],
        pad_id: int, generator: torch.Generator,
    ) -> Rollouts:  # fmt: skip
        asked.append(prompts)
        ids, mask = rollouts.left_pad(prompts, pad_id, "cpu")
        rows = len(prompts) * group_size
        wanted = [script(tokenizer.decode(prompts[row // group_size]), row) for row in range(rows)]
        written = [row[: sampling.max_length] for row in wanted]
        width = max(map(len, written))
        kept = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in written])
        batch = Batch(
            ids, mask, torch.arange(len(prompts)).repeat_interleave(group_size),
            torch.tensor([row + [pad_id] * (width - len(row)) for row in written]), kept, kept,
        )  # fmt: skip
        with torch.no_grad():
            logps = completion_logps(model, batch, sampling.temperature)
        truncated = torch.tensor([row[-1] not in eos_ids for row in written])
        return Rollouts(batch, logps, truncated)

    monkeypatch.setattr(rollouts, "sample", sample)
    return asked
