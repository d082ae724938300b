"""Dr. GRPO (arXiv:2503.20783): GRPO without what its authors call biases.

The advantage is not divided by the standard deviation (which favours questions that are nearly always or nearly never
answered), tokens are divided by the length limit instead of the output's own length (which favours long wrong
outputs), and there is no KL term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import Estimator, Signals, no_options, require_group

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DrGRPO(Estimator):
    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """A_{i,t} = r_i - mean(r)."""
        return objectives.mean_advantage(signals.rewards, signals.group_size)[:, None] * signals.mask

    def weights(self, mask: Tensor, max_length: int) -> Tensor:
        return objectives.constant_weights(mask, max_length)


def build(config: RLConfig) -> DrGRPO:
    no_options(config)
    require_group(config, 2, "the baseline is their mean")
    return DrGRPO(config.clip_epsilon, config.clip_epsilon, 0.0)
