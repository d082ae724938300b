"""CISPO (arXiv:2506.13585): the importance ratio is a clipped weight of log pi, so no token loses its gradient.

Group-relative advantage, token mean, no KL term, and no lower bound on the ratio, as in the original. The dynamic
sampling and length penalty that its authors take over from DAPO are DAPO's and not part of this method here. At one
update per exploration the weight is 1 and what is left is DAPO without those two: ``build`` then returns that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import options
from dsm_repro.rl.estimators.dapo import DAPO
from dsm_repro.rl.estimators.grpo import GRPO, require_standard_deviation

if TYPE_CHECKING:
    from torch import Tensor

#: 1 - 1 = 0 is the least that a ratio can be
NO_LOWER_BOUND = 1.0


@dataclass(frozen=True)
class Options:
    #: the weight is at most 1 + clip_high
    clip_high: float = 4.0


@dataclass(frozen=True)
class CISPO(GRPO):
    def surrogate(self, logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        return objectives.clipped_weight_surrogate(logps, old_logps, advantages, self.clip_high)

    def weights(self, mask: Tensor, max_length: int) -> Tensor:
        return objectives.token_weights(mask)


def build(config: RLConfig) -> GRPO:
    given = options(config, Options)
    require_standard_deviation(config)
    if not given.clip_high > 0.0:
        raise ConfigError(f"rl.options.clip_high={given.clip_high}: must be greater than 0.")
    if config.updates_per_exploration > 1:
        return CISPO(NO_LOWER_BOUND, given.clip_high, 0.0, config.std_ddof, config.std_guard)
    return DAPO(
        NO_LOWER_BOUND, given.clip_high, 0.0, config.std_ddof, config.std_guard,
        max_draws=1, overlong_share=0.0, overlong_penalty=0.0,
    )  # fmt: skip
