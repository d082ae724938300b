"""Advantage estimators: all that tells one policy-gradient method from another here.

One file per method, found by its name: ``rl=NAME`` uses ``estimators/NAME.py``, whose ``build(config)``
returns an :class:`Estimator`. Rollouts, rewards, optimiser, budget and checkpoints are shared.
"""

from __future__ import annotations

import importlib
import pkgutil

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.rl.estimators.base import Estimator, Signals, Steps

__all__ = ["Estimator", "Signals", "Steps", "build", "names"]


def names() -> tuple[str, ...]:
    """The methods that have a file in this package."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"))


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
