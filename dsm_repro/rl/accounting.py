"""What one step of reinforcement learning costs in FLOPs, by purpose, from the lengths of its rollouts.

Conventions, the same for every method: padding is not counted; the prompt of a group is computed once per
model and pass, as ``batch.py`` does; the output head is counted on completion tokens only. So the count
depends on the rollouts, not on micro-batches or hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dsm_repro.pipeline.cost import ModelShape, forward_flops, generation_flops


@dataclass(frozen=True)
class Lengths:
    """Token counts of the rollouts of one exploration stage."""

    #: one per question
    prompts: Sequence[int]
    #: the completions of each question
    completions: Sequence[Sequence[int]]

    @property
    def prompt_tokens(self) -> int:
        return sum(self.prompts)

    @property
    def completion_tokens(self) -> int:
        return sum(map(sum, self.completions))

    @property
    def squares(self) -> float:
        """Sum of squared lengths with the prompt's square counted once: the attention that shared prompts need."""
        total = 0.0
        for prompt, completions in zip(self.prompts, self.completions, strict=True):
            total += prompt**2 + sum((prompt + length) ** 2 - prompt**2 for length in completions)
        return total


def head_flops(shape: ModelShape, tokens: int) -> float:
    """FLOPs of the output head on ``tokens`` positions."""
    return 2.0 * tokens * shape.hidden_size * shape.vocab_size


def generate(shape: ModelShape, lengths: Lengths) -> float:
    """Cached decoding: prompts once, then every completion token."""
    tokens = lengths.prompt_tokens + lengths.completion_tokens
    flops = generation_flops(shape, lengths.prompt_tokens, tokens, lengths.squares)
    return flops - head_flops(shape, lengths.prompt_tokens)


def forward(shape: ModelShape, lengths: Lengths) -> float:
    """One forward pass that scores every completion token."""
    tokens = lengths.prompt_tokens + lengths.completion_tokens
    return forward_flops(shape, tokens, lengths.squares) - head_flops(shape, lengths.prompt_tokens)


def train(shape: ModelShape, lengths: Lengths) -> float:
    """A forward and a backward pass."""
    return 3.0 * forward(shape, lengths)


def critic_train(shape: ModelShape, lengths: Lengths) -> float:
    """A forward and a backward pass of the critic, whose head has one output; values come from the same forward."""
    return train(replace(shape, vocab_size=1), lengths)


def exploration_flops(shape: ModelShape, lengths: Lengths, reference: bool) -> dict[str, float]:
    """What an exploration stage costs before any update."""
    flops = {"generate": generate(shape, lengths)}
    if reference:
        flops["reference"] = forward(shape, lengths)
    return flops


def update_flops(shape: ModelShape, lengths: Lengths, critic: bool) -> dict[str, float]:
    """What one gradient update costs."""
    flops = {"train": train(shape, lengths)}
    if critic:
        flops["critic"] = critic_train(shape, lengths)
    return flops
