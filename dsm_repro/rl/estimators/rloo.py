"""RLOO (arXiv:2402.14740): REINFORCE on whole completions, the baseline is the mean reward of the group's others.

The penalty for leaving the reference stands in the reward of the *sequence*, as in the original:
R_i = r_i - beta log(pi_theta(o_i) / pi_ref(o_i)), with ``rl.kl_coefficient`` as beta, a constant to the gradient.
A completion is one action, so its tokens add up and no length divides them: (1/B) sum_i A_i sum_t grad log pi.
The original has one update per exploration; beyond that the ratio of Eq. 1 is clipped at ``rl.clip_epsilon``.
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
class RLOO(Estimator):
    #: beta, in the reward
    kl_coefficient: float

    @property
    def needs_reference(self) -> bool:
        return self.kl_coefficient != 0.0

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """A_{i,t} = R_i - the mean R of the group's other outputs."""
        rewards = objectives.kl_shaped_reward(
            signals.rewards, signals.logps, signals.ref_logps, signals.mask, self.kl_coefficient
        ).sum(dim=-1)
        return objectives.leave_one_out_advantage(rewards, signals.group_size)[:, None] * signals.mask

    def weights(self, mask: Tensor, max_length: int) -> Tensor:
        """1/B on every token."""
        return objectives.constant_weights(mask, 1)


def build(config: RLConfig) -> RLOO:
    no_options(config)
    require_group(config, 2, "the baseline is the mean of the other ones")
    return RLOO(config.clip_epsilon, config.clip_epsilon, 0.0, config.kl_coefficient)
