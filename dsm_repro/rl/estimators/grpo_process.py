"""GRPO with process supervision, §4.1.3: a reward at the end of each step, all steps of a group normalised together.

A token's advantage is the sum of the normalised rewards of the steps that end at it or later. So tokens after the
last step have advantage 0, and so has every token of an output in which no step was found: it adds nothing to the
group's mean and standard deviation, and learns from the KL term alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl import objectives
from dsm_repro.rl.estimators.base import Signals, no_options
from dsm_repro.rl.estimators.grpo import GRPO, require_standard_deviation

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ProcessGRPO(GRPO):
    needs_steps: ClassVar[bool] = True

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """A_{i,t} = sum over the steps j of output i with end(j) >= t of their normalised rewards."""
        if signals.steps is None:
            raise ConfigError(
                "rl.method=grpo_process: the reward judges whole completions, not steps. Use a process reward model, "
                "or rl=grpo."
            )
        advantage = objectives.process_advantage(
            signals.steps.rewards, signals.steps.ends, signals.group_size, signals.mask.shape[1],
            self.std_ddof, self.std_guard, like=signals.logps,
        )  # fmt: skip
        return advantage * signals.mask


def build(config: RLConfig) -> ProcessGRPO:
    no_options(config)
    require_standard_deviation(config)
    return ProcessGRPO(
        config.clip_epsilon, config.clip_epsilon, config.kl_coefficient, config.std_ddof, config.std_guard
    )
