"""What checks of numbers and names have in common; each yields a message with the key, the value and the fix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from dsm_repro.config.schema import Config

Check = Callable[[Config], Iterator[str]]


#: how far from 1 a sum of shares may be
SHARE_TOLERANCE = 1e-6


def one_of(key: str, value: object, known: tuple[str, ...]) -> Iterator[str]:
    if value not in known:
        yield f"{key}={value}: unknown. Use one of {', '.join(known)}."


def at_least(key: str, value: float, least: float, why: str = "") -> Iterator[str]:
    if not value >= least:
        yield f"{key}={value}: must be at least {least}{' (' + why + ')' if why else ''}."


def positive(key: str, value: float) -> Iterator[str]:
    if not (value > 0 and math.isfinite(value)):
        yield f"{key}={value}: must be greater than 0."


def probability(key: str, value: float, zero: bool = True) -> Iterator[str]:
    if not (0 <= value <= 1 if zero else 0 < value <= 1):
        yield f"{key}={value}: must lie in {'[' if zero else '('}0, 1]."


def shares(key: str, weights: dict[str, float]) -> Iterator[str]:
    for name, weight in weights.items():
        yield from positive(f"{key}.{name}", weight)
    total = math.fsum(weights.values())
    if abs(total - 1) > SHARE_TOLERANCE:
        yield f"{key}: the shares {dict(weights)} sum to {total:g}, not 1. Change them so that they do."


def optimiser(key: str, rate: float, decay: float, norm: float, prefix: str = "") -> Iterator[str]:
    yield from positive(f"{key}.{prefix}learning_rate", rate)
    yield from at_least(f"{key}.weight_decay", decay, 0)
    yield from positive(f"{key}.max_grad_norm", norm)


def betas(key: str, beta1: float, beta2: float) -> Iterator[str]:
    for name, beta in (("adam_beta1", beta1), ("adam_beta2", beta2)):
        if not 0 <= beta < 1:
            yield f"{key}.{name}={beta}: must lie in [0, 1)."
