"""GRPO with outcome supervision, §4.1.1-4.1.2: no critic, the group is the baseline, KL inside the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import Estimator, Signals, no_options, require_group

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GRPO(Estimator):
    std_ddof: int
    std_guard: float

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """A_{i,t} = (r_i - mean(r)) / std(r), the same for every token of output i."""
        advantage = objectives.outcome_advantage(signals.rewards, signals.group_size, self.std_ddof, self.std_guard)
        return advantage[:, None] * signals.mask


def build(config: RLConfig) -> GRPO:
    no_options(config)
    require_standard_deviation(config)
    return GRPO(config.clip_epsilon, config.clip_epsilon, config.kl_coefficient, config.std_ddof, config.std_guard)


def require_standard_deviation(config: RLConfig) -> None:
    """Raises ConfigError for a group without one."""
    why = f"Eq. 3 divides by the group's standard deviation, rl.std_ddof={config.std_ddof}"
    require_group(config, max(2, config.std_ddof + 1), why)
