"""Advantage estimators: all that tells one policy-gradient method from another here.

One file per method, found by its name: ``rl=NAME`` uses ``estimators/NAME.py``, whose ``build(config)``
returns an :class:`Estimator`. Rollouts, rewards, the clipped surrogate and the optimiser are shared.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import RLConfig

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Signals:
    """What an estimator may know of a batch of rollouts; B rows, groups in consecutive rows, T tokens."""

    #: (B,) reward of each completion
    rewards: Tensor
    #: (B, T) 1 on the tokens of the completion
    mask: Tensor
    #: (B, T) log pi_theta of the sampled tokens, as sampled
    logps: Tensor
    #: (B, T) log pi_ref, None where the KL coefficient is 0
    ref_logps: Tensor | None
    group_size: int

    def rows(self, index: Tensor) -> Signals:
        """Some of the completions, for estimators that look at one completion at a time."""
        ref_logps = None if self.ref_logps is None else self.ref_logps[index]
        return Signals(self.rewards[index], self.mask[index], self.logps[index], ref_logps, self.group_size)


class Estimator(Protocol):
    #: whether it needs values, and so a critic
    needs_critic: bool
    #: beta of the KL term inside the loss (Eq. 3); 0 where the method puts it elsewhere
    loss_kl_coefficient: float

    def advantages(self, signals: Signals, values: Tensor | None) -> Tensor:
        """(B, T) advantages of the whole batch; ``values`` is (B, T) where the method has a critic."""
        ...

    def returns(self, signals: Signals, values: Tensor) -> Tensor:
        """(B, T) what the critic should have said; each row depends on that row alone."""
        ...


def names() -> tuple[str, ...]:
    """The methods that have a file in this package."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def build(config: RLConfig) -> Estimator:
    """The estimator of ``config.method``.

    Raises:
        ConfigError: there is no such method, or its settings cannot work.
    """
    if config.method not in names():
        raise ConfigError(f"rl.method={config.method}: no such method. Use one of {', '.join(names())}, or none.")
    module = importlib.import_module(f"{__name__}.{config.method}")
    estimator: Estimator = module.build(config)
    return estimator
