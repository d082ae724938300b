"""DAPO (arXiv:2503.14476): GRPO's advantage with clip-higher, dynamic sampling, token mean, overlong penalty, no KL.

Its rewards are 1 and -1, ours are ``reward.correct`` and ``reward.incorrect`` (1 and 0). The advantage is divided by
the standard deviation, so only the penalty's size relative to the distance of the two matters: DAPO's largest penalty
of 1 is half of that distance, and so is our default of 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import Signals, options
from dsm_repro.rl.estimators.grpo import GRPO, require_standard_deviation

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Options:
    #: epsilon below and above 1 (Eq. 8)
    clip_low: float = 0.2
    clip_high: float = 0.28
    #: how often an exploration may draw questions until enough groups are kept; 1: dynamic sampling off
    max_draws: int = 10
    #: L_cache / L_max of Eq. 13, as a share of rl.max_completion_length; 0: no penalty
    overlong_share: float = 0.2
    #: subtracted from the reward of an output that fills the limit
    overlong_penalty: float = 0.5


@dataclass(frozen=True)
class DAPO(GRPO):
    max_draws: int
    overlong_share: float
    overlong_penalty: float

    @property
    def attempts(self) -> int:
        return self.max_draws

    def keep(self, rewards: Tensor, correct: Tensor | None = None) -> Tensor:
        """Eq. 11, 0 < number of right outputs < G; where rightness is not told, groups whose rewards differ."""
        if self.max_draws == 1:
            return super().keep(rewards, correct)
        judged = rewards if correct is None else correct
        return (judged != judged[:, :1]).any(dim=-1)

    def shape(self, signals: Signals) -> Tensor:
        """The reward with the soft overlong penalty of Eq. 13."""
        if self.overlong_share == 0.0:
            return signals.rewards
        lengths = signals.mask.sum(dim=-1).to(signals.rewards.dtype)
        penalty = objectives.overlong_penalty(lengths, signals.max_length, self.overlong_share)
        return signals.rewards - self.overlong_penalty * penalty

    def weights(self, mask: Tensor, max_length: int) -> Tensor:
        return objectives.token_weights(mask)


def build(config: RLConfig) -> DAPO:
    given = options(config, Options)
    require_standard_deviation(config)
    for name, value in (("clip_low", given.clip_low), ("clip_high", given.clip_high)):
        if not value > 0.0:
            raise ConfigError(f"rl.options.{name}={value}: must be greater than 0.")
    if given.max_draws < 1:
        raise ConfigError(f"rl.options.max_draws={given.max_draws}: must be at least 1 (1: no dynamic sampling).")
    if not 0.0 <= given.overlong_share < 1.0:
        raise ConfigError(
            f"rl.options.overlong_share={given.overlong_share}: a share of rl.max_completion_length, 0 ≤ share < 1."
        )
    if given.overlong_penalty < 0.0:
        raise ConfigError(f"rl.options.overlong_penalty={given.overlong_penalty}: is subtracted; must not be negative.")
    # without one part the other is not there either: equal settings must be one run
    share = given.overlong_share if given.overlong_penalty else 0.0
    return DAPO(
        given.clip_low, given.clip_high, 0.0, config.std_ddof, config.std_guard, given.max_draws, share,
        given.overlong_penalty if share else 0.0,
    )  # fmt: skip
