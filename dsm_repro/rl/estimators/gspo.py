"""GSPO (arXiv:2507.18071): GRPO with one importance ratio per output instead of one per token.

The paper leaves out the KL term "for brevity"; here it is GRPO's (``rl.kl_coefficient``), so that the ratio alone
differs. At one update per exploration the ratio is 1 and its gradient is GRPO's, token by token: grad s_i = (1/|o_i|)
sum_t grad log pi. So ``build`` then returns GRPO itself, and the two arms are one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import options
from dsm_repro.rl.estimators.grpo import GRPO, require_standard_deviation

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Options:
    #: epsilon below and above 1, for the ratio of a whole output: a mean over tokens, so it moves far less than theirs
    clip_low: float = 3e-4
    clip_high: float = 4e-4


@dataclass(frozen=True)
class GSPO(GRPO):
    def surrogate(self, logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        return objectives.sequence_surrogate(logps, old_logps, advantages, mask, self.clip_low, self.clip_high)


def build(config: RLConfig) -> GRPO:
    given = options(config, Options)
    require_standard_deviation(config)
    for name, value in (("clip_low", given.clip_low), ("clip_high", given.clip_high)):
        if not value > 0.0:
            raise ConfigError(f"rl.options.{name}={value}: must be greater than 0.")
    kind = GSPO if config.updates_per_exploration > 1 else GRPO
    return kind(given.clip_low, given.clip_high, config.kl_coefficient, config.std_ddof, config.std_guard)
