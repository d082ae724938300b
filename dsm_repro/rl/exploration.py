"""One exploration stage: questions, completions, rewards, until the method has the groups that it wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dsm_repro.config.schema import RLConfig
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.cost import ModelShape
from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch, concatenate
from dsm_repro.rl.estimators import Estimator, Signals, Steps
from dsm_repro.rl.questions import questions_of_step
from dsm_repro.rl.rewards import Completions, RewardFunction, Rewards, zero_variance_share
from dsm_repro.rl.rollouts import Rollouts, Sampling, step_generator

Metrics = dict[str, float | int | None]
#: (model, prompts as token ids, group size, sampling, end tokens, padding token, noise) -> completions
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


@dataclass(frozen=True)
class Exploration:
    """Completions with their rewards: B rows, groups in consecutive rows."""

    batch: Batch
    #: (B, T) as sampled
    logps: Tensor
    #: (B,) as the method shapes them
    rewards: Tensor
    correct: Tensor
    steps: Steps | None
    lengths: accounting.Lengths
    metrics: Metrics
    flops: dict[str, float]

    def signals(self, ref_logps: Tensor | None, group_size: int, max_length: int) -> Signals:
        """What the estimator may know."""
        return Signals(
            self.rewards, self.batch.written, self.logps, ref_logps, group_size, self.correct, max_length, self.steps
        )


class Explorer:
    """Draws and rewards the completions of one exploration stage.

    A method that drops groups (dynamic sampling of DAPO) is given further questions, ``estimator.attempts`` times at
    most. What was drawn is paid for, kept or not. Where no group is kept at all, the last attempt's are.
    """

    def __init__(
        self, rl: RLConfig, task: Task, estimator: Estimator, tokenizer: PreTrainedTokenizerBase,
        eos_ids: Sequence[int], shape: ModelShape, seed: int,
    ) -> None:  # fmt: skip
        self.rl, self.task, self.estimator, self.tokenizer = rl, task, estimator, tokenizer
        self.eos_ids, self.shape, self.seed = eos_ids, shape, seed
        self.encoded = [list(ids) for ids in tokenizer(list(task.prompts))["input_ids"]]

    def __call__(self, model: Any, number: int) -> Exploration:
        """Exploration stage ``number``, drawn from ``model``: a function of its arguments alone."""
        wanted, attempts = self.rl.questions_per_step, self.estimator.attempts
        drawn: list[tuple[Exploration, list[int]]] = []
        kept = 0
        for attempt in range(attempts):
            exploration = self._attempt(model, number * attempts + attempt)
            chosen = self.estimator.keep(exploration.rewards.view(-1, self.rl.group_size)).nonzero()[:, 0].tolist()
            chosen = chosen[: wanted - kept]
            drawn.append((exploration, chosen))
            kept += len(chosen)
            if kept >= wanted:
                break
        if kept == 0:
            drawn[-1] = (drawn[-1][0], list(range(wanted)))
        whole = self._join([self._select(exploration, groups) for exploration, groups in drawn])
        if attempts > 1:
            whole.metrics.update(groups_drawn=wanted * len(drawn), groups_kept=kept)
        return whole

    def _attempt(self, model: Any, number: int) -> Exploration:
        size = self.rl.group_size
        chosen = questions_of_step(len(self.encoded), self.rl.questions_per_step, self.seed, number)
        sampling = Sampling(self.rl.max_completion_length, self.rl.temperature, self.rl.top_p)
        prompts = [self.encoded[i] for i in chosen]
        rollouts = self.task.sampler(
            model, prompts, size, sampling, self.eos_ids, int(self.tokenizer.pad_token_id),
            step_generator(self.seed, number),
        )  # fmt: skip
        batch = rollouts.batch
        problems = [self.task.questions[i] for i in chosen for _ in range(size)]
        rewards = self.task.reward(Completions(self._texts(batch), problems, batch))
        device = batch.completion_ids.device
        given = torch.tensor(rewards.values, dtype=rollouts.logps.dtype, device=device)
        correct = torch.tensor(rewards.correct, device=device)
        signals = Signals(
            given, batch.written, rollouts.logps, None, size, correct, self.rl.max_completion_length, rewards.steps
        )
        shaped = self.estimator.shape(signals)
        lengths = accounting.Lengths([len(prompt) for prompt in prompts], batch.lengths.view(-1, size).tolist())
        flops = {"generate": accounting.generate(self.shape, lengths), **rewards.flops}
        metrics = self._metrics(rewards, shaped, rollouts, lengths)
        return Exploration(batch, rollouts.logps, shaped, correct, rewards.steps, lengths, metrics, flops)

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
            "zero_variance_groups": zero_variance_share(shaped.tolist(), self.rl.group_size),
            "completion_length": lengths.completion_tokens / count,
        }

    def _select(self, exploration: Exploration, groups: Sequence[int]) -> Exploration:
        """Some of the groups; metrics and FLOPs stay those of everything drawn."""
        batch, size = exploration.batch, self.rl.group_size
        if len(groups) == len(batch.prompt_ids):
            return exploration
        device = batch.completion_ids.device
        rows = [group * size + member for group in groups for member in range(size)]
        group_index = torch.tensor(groups, dtype=torch.long, device=device)
        index = torch.tensor(rows, dtype=torch.long, device=device)
        steps = exploration.steps
        cut = Batch(
            batch.prompt_ids[group_index], batch.prompt_mask[group_index],
            torch.arange(len(groups), device=device).repeat_interleave(size),
            batch.completion_ids[index], batch.completion_mask[index], batch.written[index],
        )  # fmt: skip
        return Exploration(
            batch=cut,
            logps=exploration.logps[index],
            rewards=exploration.rewards[index],
            correct=exploration.correct[index],
            steps=None if steps is None else Steps([steps.rewards[i] for i in rows], [steps.ends[i] for i in rows]),
            lengths=accounting.Lengths(
                [exploration.lengths.prompts[i] for i in groups], [exploration.lengths.completions[i] for i in groups]
            ),
            metrics=exploration.metrics,
            flops=exploration.flops,
        )

    def _join(self, parts: list[Exploration]) -> Exploration:
        if len(parts) == 1:
            return parts[0]
        width = max(part.logps.shape[1] for part in parts)
        pad = torch.nn.functional.pad
        steps = None
        if all(part.steps is not None for part in parts):
            judged = [part.steps for part in parts if part.steps is not None]
            steps = Steps([r for s in judged for r in s.rewards], [e for s in judged for e in s.ends])
        lengths = accounting.Lengths(
            [n for part in parts for n in part.lengths.prompts], [c for part in parts for c in part.lengths.completions]
        )
        return Exploration(
            concatenate([part.batch for part in parts], int(self.tokenizer.pad_token_id)),
            torch.cat([pad(part.logps, (0, width - part.logps.shape[1])) for part in parts]),
            torch.cat([part.rewards for part in parts]),
            torch.cat([part.correct for part in parts]),
            steps,
            lengths,
            _total_metrics([part.metrics for part in parts]),
            _total_flops([part.flops for part in parts]),
        )


def _total_flops(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    return {
        name: sum(part.get(name, 0.0) for part in parts) for name in {name: None for part in parts for name in part}
    }


def _total_metrics(parts: Sequence[Metrics]) -> Metrics:
    """Counts added up, means averaged by the completions behind them."""
    means = ("reward_mean", "zero_variance_groups", "completion_length")
    weights = [part["completions"] or 0 for part in parts]
    total: Metrics = {}
    for name in parts[0]:
        values = [part[name] or 0 for part in parts]
        if name in means:
            total[name] = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
        else:
            total[name] = sum(values)
    return total
