"""PPO, Eq. 1-2: a critic as the baseline, GAE, and the KL penalty per token inside the reward.

The paper gives no values for the critic and runs no PPO: the options are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import Estimator, Signals, options

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Options:
    gamma: float = 1.0
    gae_lambda: float = 1.0
    whiten_advantages: bool = True
    #: the critic's learning rate relative to rl.learning_rate
    critic_rate_factor: float = 10.0


@dataclass(frozen=True)
class PPO(Estimator):
    gamma: float
    gae_lambda: float
    whiten_advantages: bool
    #: beta of Eq. 2
    kl_coefficient: float
    critic_rate_factor: float

    needs_critic: ClassVar[bool] = True

    @property
    def needs_reference(self) -> bool:
        return self.kl_coefficient != 0.0

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        if values is None:
            raise TypeError("PPO needs the critic's values")
        advantages, _ = self._estimate(signals, values)
        return objectives.whiten(advantages, signals.mask) if self.whiten_advantages else advantages

    def returns(self, signals: Signals, values: Tensor) -> Tensor:
        return self._estimate(signals, values)[1]

    def critic_learning_rate(self, learning_rate: float) -> float:
        return learning_rate * self.critic_rate_factor

    def _estimate(self, signals: Signals, values: Tensor) -> tuple[Tensor, Tensor]:
        rewards = objectives.kl_shaped_reward(
            signals.rewards, signals.logps, signals.ref_logps, signals.mask, self.kl_coefficient
        )
        return objectives.gae(rewards, values, signals.mask, self.gamma, self.gae_lambda)


def build(config: RLConfig) -> PPO:
    given = options(config, Options)
    for name, value in (("gamma", given.gamma), ("gae_lambda", given.gae_lambda)):
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"rl.options.{name}={value}: must lie between 0 and 1.")
    if not given.critic_rate_factor > 0.0:
        raise ConfigError(f"rl.options.critic_rate_factor={given.critic_rate_factor}: must be greater than 0.")
    return PPO(
        config.clip_epsilon, config.clip_epsilon, 0.0, given.gamma, given.gae_lambda, given.whiten_advantages,
        config.kl_coefficient, given.critic_rate_factor,
    )  # fmt: skip
