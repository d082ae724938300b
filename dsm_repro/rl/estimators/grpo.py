"""GRPO with outcome supervision, §4.1.1-4.1.2: no critic, the group is the baseline, KL inside the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators import Signals

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GRPO:
    std_ddof: int
    std_guard: float
    loss_kl_coefficient: float
    needs_critic: bool = False

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """A_{i,t} = (r_i - mean(r)) / std(r), the same for every token of output i."""
        advantage = objectives.outcome_advantage(signals.rewards, signals.group_size, self.std_ddof, self.std_guard)
        return advantage[:, None] * signals.mask

    def returns(self, signals: Signals, values: Tensor) -> Tensor:
        raise TypeError("GRPO has no critic, so nothing to regress a value on")


def build(config: RLConfig) -> GRPO:
    if config.group_size < 2 or config.group_size <= config.std_ddof:
        raise ConfigError(
            f"rl.group_size={config.group_size}: a group needs at least {max(2, config.std_ddof + 1)} completions "
            f"(Eq. 3 divides by the group's standard deviation, rl.std_ddof={config.std_ddof}). "
            "Raise rl.group_size, or use rl=ppo."
        )
    return GRPO(config.std_ddof, config.std_guard, config.kl_coefficient)
