"""Iterative GRPO, Algorithm 1 of §4.1.4: GRPO in rounds, each with the policy it begins with as its reference.

Where the reward is a model's, it is trained on between rounds, with a replay of historical data. What happens
between rounds is in ``rl/iteration.py``. One round is GRPO.
"""

from __future__ import annotations

from dataclasses import dataclass

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl.estimators.base import options
from dsm_repro.rl.estimators.grpo import GRPO, require_standard_deviation


@dataclass(frozen=True)
class Options:
    rounds: int = 2
    replay_share: float = 0.1
    reward_steps: int = 20


@dataclass(frozen=True)
class IterativeGRPO(GRPO):
    #: I of Algorithm 1
    iterations: int
    #: share of historical data in a batch of the reward model (§4.1.4: 10%)
    replay_share: float
    #: updates of the reward model between two rounds
    reward_steps: int

    @property
    def rounds(self) -> int:
        return self.iterations


def build(config: RLConfig) -> GRPO:
    given = options(config, Options)
    require_standard_deviation(config)
    if given.rounds < 1:
        raise ConfigError(f"rl.options.rounds={given.rounds}: must be at least 1.")
    if not 0.0 <= given.replay_share < 1.0:
        raise ConfigError(
            f"rl.options.replay_share={given.replay_share}: must lie in [0, 1): at 1 the reward model would see "
            "nothing of the policy that it judges."
        )
    if given.reward_steps < 0:
        raise ConfigError(f"rl.options.reward_steps={given.reward_steps}: must be at least 0.")
    same = (config.clip_epsilon, config.clip_epsilon, config.kl_coefficient, config.std_ddof, config.std_guard)
    if given.rounds == 1:
        return GRPO(*same)
    return IterativeGRPO(*same, given.rounds, given.replay_share, given.reward_steps)
