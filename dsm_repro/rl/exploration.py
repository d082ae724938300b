"""One exploration stage: questions, completions, rewards, until the method has the groups that it wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.cost import ModelShape
from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch
from dsm_repro.rl.distributed import Processes
from dsm_repro.rl.estimators import Estimator, Signals
from dsm_repro.rl.experience import (
    Exploration,
    Metrics,
    join_explorations,
    join_rewards,
    join_rollouts,
    select,
)
from dsm_repro.rl.questions import questions_of_step
from dsm_repro.rl.rewards import Completions, RewardFunction, Rewards, zero_variance_share
from dsm_repro.rl.rollouts import Rollouts, Sampling, step_generator

__all__ = ["Exploration", "Explorer", "Metrics", "Sampler", "Task"]

#: (model, prompts as token ids, group size, sampling, end tokens, padding token, noise) -> completions.
#: Noise is drawn by ``torch.rand(completions, generator=noise)`` alone: see ``Processes.noise``.
Sampler = Callable[
    [Any, Sequence[Sequence[int]], int, Sampling, Sequence[int], int, torch.Generator],
    Rollouts,
]


@dataclass(frozen=True)
class Task:
    """What is learned: questions with their prompts, how they are answered, and how an answer is rewarded."""

    questions: Sequence[Problem]
    prompts: Sequence[str]
    reward: RewardFunction
    sampler: Sampler
    #: completions written at once, None: all of a stage
    rows: int | None = None


class Explorer:
    """Draws and rewards the completions of one exploration stage.

    A method that drops groups (dynamic sampling of DAPO) is given further questions, ``estimator.attempts`` times at
    most. What was drawn is paid for, kept or not. Where no group is kept at all, the last attempt's are. First attempts
    go through the questions as those of every other method do; further ones go through them in an order of their own,
    for how many there will be is not known, and a gap left for each would skip most questions.
    """

    def __init__(
        self, rl: RLConfig, task: Task, estimator: Estimator, tokenizer: PreTrainedTokenizerBase,
        eos_ids: Sequence[int], shape: ModelShape, seed: int, processes: Processes | None = None,
    ) -> None:  # fmt: skip
        self.rl, self.task, self.estimator, self.tokenizer = rl, task, estimator, tokenizer
        self.eos_ids, self.shape, self.seed = eos_ids, shape, seed
        self.processes = processes or Processes()
        self.pad_id = int(tokenizer.pad_token_id)
        self.encoded = [list(ids) for ids in tokenizer(list(task.prompts))["input_ids"]]

    def __call__(self, model: Any, number: int) -> Exploration:
        """Exploration stage ``number``, drawn from ``model``: a function of its arguments alone."""
        wanted, attempts = self.rl.questions_per_step, self.estimator.attempts
        drawn: list[tuple[Exploration, list[int]]] = []
        kept = 0
        for attempt in range(attempts):
            further = number * (attempts - 1) + attempt - 1
            exploration = self._attempt(
                model, f"{self.seed}/further" if attempt else self.seed, further if attempt else number
            )
            by_group = (-1, self.rl.group_size)
            keep = self.estimator.keep(exploration.rewards.view(by_group), exploration.correct.view(by_group))
            chosen = keep.nonzero()[:, 0].tolist()[: wanted - kept]
            drawn.append((exploration, chosen))
            kept += len(chosen)
            if kept >= wanted:
                break
        if kept == 0:
            drawn[-1] = (drawn[-1][0], list(range(wanted)))
        parts = [select(exploration, groups, self.rl.group_size) for exploration, groups in drawn]
        whole = join_explorations(parts, self.pad_id)
        if attempts > 1:
            whole.metrics.update(groups_drawn=wanted * len(drawn), groups_kept=kept)
        return whole

    def _attempt(self, model: Any, seed: int | str, number: int) -> Exploration:
        """Every question drawn and rewarded: by shares, then all of it in every process."""
        size = self.rl.group_size
        chosen = questions_of_step(len(self.encoded), self.rl.questions_per_step, seed, number)
        own = [chosen[i] for i in self.processes.share(len(chosen))]
        found = self.processes.collect(lambda: self._draw(model, own, step_generator(seed, number)))
        rollouts = join_rollouts([rollouts for rollouts, _ in found], self.pad_id)
        rewards = join_rewards([rewards for _, rewards in found])
        batch = rollouts.batch
        device = batch.completion_ids.device
        given = torch.tensor(rewards.values, dtype=rollouts.logps.dtype, device=device)
        correct = torch.tensor(rewards.correct, device=device)
        signals = Signals(
            given, batch.written, rollouts.logps, None, size, correct, self.rl.max_completion_length, rewards.steps
        )
        shaped = self.estimator.shape(signals)
        lengths = accounting.Lengths([len(self.encoded[i]) for i in chosen], batch.lengths.view(-1, size).tolist())
        # the model that a method starts from has no adapters, or they are off
        shape = replace(self.shape, adapter_parameters=0) if self.estimator.offline else self.shape
        flops = {"generate": accounting.generate(shape, lengths), **rewards.flops}
        metrics = self._metrics(rewards, shaped, rollouts, lengths)
        return Exploration(batch, rollouts.logps, shaped, correct, rewards.steps, lengths, metrics, flops)

    def _draw(self, model: Any, chosen: Sequence[int], generator: torch.Generator) -> tuple[Rollouts, Rewards]:
        size = self.rl.group_size
        sampling = Sampling(self.rl.max_completion_length, self.rl.temperature, self.rl.top_p, self.task.rows)
        prompts = [self.encoded[i] for i in chosen]
        with self.processes.noise(generator):
            rollouts = self.task.sampler(model, prompts, size, sampling, self.eos_ids, self.pad_id, generator)
        problems = [self.task.questions[i] for i in chosen for _ in range(size)]
        return rollouts, self.task.reward(Completions(self._texts(rollouts.batch), problems, rollouts.batch))

    def _texts(self, batch: Batch) -> list[str]:
        rows = zip(batch.completion_ids.tolist(), batch.lengths.tolist(), strict=True)
        return self.tokenizer.batch_decode([row[:length] for row, length in rows], skip_special_tokens=True)

    def _metrics(self, rewards: Rewards, shaped: Tensor, rollouts: Rollouts, lengths: accounting.Lengths) -> Metrics:
        count = len(rewards.values)
        return {
            "completions": count,
            "tokens_generated": lengths.completion_tokens,
            "reward_mean": float(shaped.double().mean()),
            **rewards.counts,
            **rollouts.events,
            "truncated": int(rollouts.truncated.sum()),
            **_sampler_gap(rollouts),
            "zero_variance_groups": zero_variance_share(shaped.tolist(), self.rl.group_size),
            "completion_length": lengths.completion_tokens / count,
        }


def _sampler_gap(rollouts: Rollouts) -> Metrics:
    """Mean over tokens of |log pi of the engine that drew them - log pi of the policy|, where another engine drew."""
    if rollouts.sampler_logps is None:
        return {}
    written = rollouts.batch.written
    gap = (rollouts.sampler_logps - rollouts.logps).abs() * written
    return {"sampler_gap": float(gap.sum() / written.sum())}
