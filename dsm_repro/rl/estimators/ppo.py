"""PPO, Eq. 1-2: a critic as the baseline, GAE, and the KL penalty per token inside the reward."""

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
class PPO:
    gamma: float
    gae_lambda: float
    whiten_advantages: bool
    #: beta of Eq. 2
    kl_coefficient: float
    needs_critic: bool = True
    loss_kl_coefficient: float = 0.0

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        if values is None:
            raise TypeError("PPO needs the critic's values")
        advantages, _ = self._estimate(signals, values)
        return objectives.whiten(advantages, signals.mask) if self.whiten_advantages else advantages

    def returns(self, signals: Signals, values: Tensor) -> Tensor:
        return self._estimate(signals, values)[1]

    def _estimate(self, signals: Signals, values: Tensor) -> tuple[Tensor, Tensor]:
        rewards = objectives.kl_shaped_reward(
            signals.rewards, signals.logps, signals.ref_logps, signals.mask, self.kl_coefficient
        )
        return objectives.gae(rewards, values, signals.mask, self.gamma, self.gae_lambda)


def build(config: RLConfig) -> PPO:
    ppo = config.ppo
    for name, value in (("gamma", ppo.gamma), ("gae_lambda", ppo.gae_lambda)):
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"rl.ppo.{name}={value}: must lie between 0 and 1.")
    return PPO(ppo.gamma, ppo.gae_lambda, ppo.whiten_advantages, config.kl_coefficient)
