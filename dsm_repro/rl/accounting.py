"""What one step of reinforcement learning costs in FLOPs, by purpose, from the lengths of its rollouts.

Conventions, the same for every method:

* padding is not counted, and the prompt of a group is computed once for each model and pass, as ``batch.py`` and
  ``rollouts.py`` do (a group that two micro-batches share is computed twice: execution, not method);
* the last token of a completion is never an input: nothing is predicted from it;
* the output head is counted where it is computed, on the positions that predict a completion token;
* attention is counted as dense kernels compute it, masked pairs included;
* a backward pass is two forward passes, less the gradients that frozen weights do without; a head or layer recomputed
  to save memory is not counted again.

So the count depends on the rollouts, not on micro-batches or hardware. ``tests/rl/test_accounting.py`` holds it
against ``torch.utils.flop_counter`` on the functions that do the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dsm_repro.pipeline import cost
from dsm_repro.pipeline.cost import ModelShape, pass_flops


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
    def read_tokens(self) -> int:
        """Tokens that enter the model: prompts, and every completion but for its last token."""
        return self.prompt_tokens + sum(length - 1 for group in self.completions for length in group)

    @property
    def scoring_pairs(self) -> float:
        """(query, key) pairs of a forward pass with shared prompts: P², then (T - 1)·(P + T - 1) per completion."""
        total = 0.0
        for prompt, group in zip(self.prompts, self.completions, strict=True):
            total += prompt**2 + sum((length - 1) * (prompt + length - 1) for length in group)
        return total

    @property
    def decoding_pairs(self) -> float:
        """(query, key) pairs of cached decoding: P², then P + t keys for the t-th of T - 1 tokens that are read."""
        total = 0.0
        for prompt, group in zip(self.prompts, self.completions, strict=True):
            total += prompt**2 + sum((length - 1) * (prompt + length / 2) for length in group)
        return total


def generate(shape: ModelShape, lengths: Lengths) -> float:
    """Cached decoding: prompts once, then every completion token but the last of each; the first of a group's
    completions are all drawn from one position's logits."""
    read = lengths.read_tokens
    drawn_from = read - lengths.prompt_tokens + len(lengths.prompts)
    return pass_flops(shape, read, lengths.decoding_pairs, drawn_from)


def forward(shape: ModelShape, lengths: Lengths) -> float:
    """One forward pass that scores every completion token."""
    return pass_flops(shape, lengths.read_tokens, lengths.scoring_pairs, lengths.completion_tokens)


def train(shape: ModelShape, lengths: Lengths) -> float:
    """A forward and a backward pass."""
    return cost.update_flops(shape, lengths.read_tokens, lengths.scoring_pairs, lengths.completion_tokens)


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
