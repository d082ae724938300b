"""What an exploration stage leaves, as data, and how parts of it are cut and joined: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch, concatenate
from dsm_repro.rl.estimators import Signals, Steps
from dsm_repro.rl.rewards import Rewards
from dsm_repro.rl.rollouts import Rollouts

Metrics = dict[str, float | int | None]
N = TypeVar("N", int, float)


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


@dataclass
class Experience:
    """What one exploration stage leaves for its updates."""

    batch: Batch
    advantages: Tensor
    #: (B, T) weight of each token in the objective
    weights: Tensor
    ref_logps: Tensor | None
    lengths: accounting.Lengths
    metrics: Metrics
    #: targets of the critic, from the values before its first update
    returns: Tensor | None = None
    #: log pi_old by micro-batch, where an update cannot take its own log-probabilities for them
    old_logps: list[Tensor] = field(default_factory=list)


def select(exploration: Exploration, groups: Sequence[int], group_size: int) -> Exploration:
    """Some of the groups; metrics and FLOPs stay those of everything drawn."""
    batch = exploration.batch
    if len(groups) == len(batch.prompt_ids):
        return exploration
    device = batch.completion_ids.device
    rows = [group * group_size + member for group in groups for member in range(group_size)]
    group_index = torch.tensor(groups, dtype=torch.long, device=device)
    index = torch.tensor(rows, dtype=torch.long, device=device)
    steps = exploration.steps
    cut = Batch(
        batch.prompt_ids[group_index], batch.prompt_mask[group_index],
        torch.arange(len(groups), device=device).repeat_interleave(group_size),
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


def join_explorations(parts: Sequence[Exploration], pad_id: int) -> Exploration:
    """Explorations one after another; counts and FLOPs added up, means averaged by the completions behind them."""
    if len(parts) == 1:
        return parts[0]
    lengths = accounting.Lengths(
        [n for part in parts for n in part.lengths.prompts], [c for part in parts for c in part.lengths.completions]
    )
    return Exploration(
        concatenate([part.batch for part in parts], pad_id),
        _join_rows([part.logps for part in parts]),
        torch.cat([part.rewards for part in parts]),
        torch.cat([part.correct for part in parts]),
        _join_steps([part.steps for part in parts]),
        lengths,
        _total_metrics([part.metrics for part in parts]),
        _sums(part.flops for part in parts),
    )


def join_rollouts(parts: Sequence[Rollouts], pad_id: int) -> Rollouts:
    """The completions of several processes as one process has them."""
    if len(parts) == 1:
        return parts[0]
    return Rollouts(
        batch=concatenate([part.batch for part in parts], pad_id),
        logps=_join_rows([part.logps for part in parts]),
        truncated=torch.cat([part.truncated for part in parts]),
        sampler_logps=_join_said([part.sampler_logps for part in parts]),
        events=_sums(part.events for part in parts),
    )


def join_rewards(parts: Sequence[Rewards]) -> Rewards:
    """The rewards of several processes as one process has them."""
    if len(parts) == 1:
        return parts[0]
    return Rewards(
        values=[value for part in parts for value in part.values],
        counts=_sums(part.counts for part in parts),
        correct=[right for part in parts for right in part.correct],
        steps=_join_steps([part.steps for part in parts]),
        flops=_sums(part.flops for part in parts),
    )


def _join_rows(parts: Sequence[Tensor]) -> Tensor:
    """(b, t) each to (sum of b, longest t), zero on what is added."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts])


def _join_said(parts: Sequence[Tensor | None]) -> Tensor | None:
    said = [part for part in parts if part is not None]
    return _join_rows(said) if len(said) == len(parts) else None


def _join_steps(parts: Sequence[Steps | None]) -> Steps | None:
    judged = [part for part in parts if part is not None]
    if len(judged) < len(parts):
        return None
    return Steps([r for steps in judged for r in steps.rewards], [e for steps in judged for e in steps.ends])


def _sums(parts: Iterable[dict[str, N]]) -> dict[str, N]:
    total: dict[str, N] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total[name] + value if name in total else value
    return total


def _total_metrics(parts: Sequence[Metrics]) -> Metrics:
    means = ("reward_mean", "zero_variance_groups", "completion_length", "sampler_gap")
    weights = [part["completions"] or 0 for part in parts]
    total: Metrics = {}
    for name in {name: None for part in parts for name in part}:
        values = [part.get(name) or 0 for part in parts]
        if name in means:
            total[name] = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
        else:
            total[name] = sum(values)
    return total
