"""Rejection sampling fine-tuning, Eq. 10: maximum likelihood on the right outputs of the model the stage starts from.

The coefficient is I(o), 1 where the rule says that the answer is right and else 0, whatever ``reward.kind`` is
(Table 10: "Rule"). Wrong outputs count in the mean over outputs, as in the expectation over all that is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import Estimator, Signals, no_options

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RFT(Estimator):
    offline: ClassVar[bool] = True
    has_ratio: ClassVar[bool] = False

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """I(o) on every token of o."""
        if signals.correct is None:
            raise TypeError(f"{type(self).__name__} needs to know which answers are right")
        return objectives.rft_coefficient(signals.correct).to(signals.logps.dtype)[:, None] * signals.mask

    def surrogate(self, logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        return objectives.likelihood(logps, advantages)


def build(config: RLConfig) -> RFT:
    no_options(config)
    return RFT(0.0, 0.0, 0.0)
