"""A data mix by tokens: how many rows each source gives, in which order, and how often it is repeated."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from dsm_repro.config.errors import ConfigError

#: shares are written by hand: they may miss 1 by this much
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Mixture:
    """Which row of which source stands at each place of training."""

    #: (source, row of the source), in training order
    places: tuple[tuple[str, int], ...]
    target_shares: dict[str, float]
    achieved_shares: dict[str, float]
    #: how often each source was gone through
    epochs: dict[str, float]


def check_weights(weights: Mapping[str, float], key: str) -> dict[str, float]:
    """The sources with a weight above 0. Raises ConfigError unless all are ≥ 0 and sum to 1."""
    total = math.fsum(weights.values())
    if any(not weight >= 0 for weight in weights.values()) or abs(total - 1) > SUM_TOLERANCE:
        listed = ", ".join(f"{name}={weight:g}" for name, weight in weights.items()) or "none"
        raise ConfigError(f"{key}: shares of tokens ({listed}) sum to {total:g}. They must be ≥ 0 and sum to 1.")
    return {name: weight / total for name, weight in weights.items() if weight > 0}


def row_targets(weights: Mapping[str, float], rows: int) -> dict[str, int]:
    """Rows of each source: ``weight * rows`` by largest remainder, so each is within one row of its target."""
    exact = {name: weight * rows for name, weight in weights.items()}
    targets = {name: math.floor(value) for name, value in exact.items()}
    by_remainder = sorted(weights, key=lambda name: (targets[name] - exact[name], name))
    for name in by_remainder[: rows - sum(targets.values())]:
        targets[name] += 1
    return targets


def check_repetition(
    name: str, needed: int, available: int, length: int, max_epochs: float, key: str, limit_key: str
) -> float:
    """Epochs over a source: rows needed / rows available. Raises ConfigError above ``max_epochs``."""
    if needed == 0:
        return 0.0
    epochs = needed / available if available else math.inf
    if epochs > max_epochs:
        raise ConfigError(
            f"{key}.{name}: the mix needs {needed * length} tokens of this source and it has {available * length}: "
            f"{epochs:.1f} epochs, more than {limit_key}={max_epochs:g}. Lower its weight or the tokens of training, "
            f"give it more text, or raise {limit_key}."
        )
    return epochs


def interleave(counts: Mapping[str, int]) -> list[str]:
    """Source names, each as often as its count, spread evenly: item k of n stands at (k + 1/2)/n of the way.

    Every prefix holds each source in its share, to within about a row, so no batch is of one source only.
    """
    places = [((k + 0.5) / count, name) for name, count in counts.items() for k in range(count)]
    return [name for _, name in sorted(places)]


def mix(
    weights: Mapping[str, float],
    available: Mapping[str, int],
    total_rows: int,
    length: int,
    max_epochs: float,
    seed: int,
    key: str = "mix.weights",
    limit_key: str = "pretrain.max_epochs",
) -> Mixture:
    """Lay out ``total_rows`` rows: shares by tokens, sources interleaved, each epoch of a source in its own order.

    ``available`` is the number of rows of ``length`` tokens that each source has.

    Raises:
        ConfigError: shares that do not sum to 1, or a source that would be repeated too often.
    """
    shares = check_weights(weights, key)
    targets = row_targets(shares, total_rows)
    epochs = {
        name: check_repetition(name, targets[name], available[name], length, max_epochs, key, limit_key)
        for name in shares
    }
    upcoming = {name: iter(_epochs_of(name, targets[name], available[name], seed)) for name in shares}
    places = tuple((name, next(upcoming[name])) for name in interleave(targets))
    achieved = {name: targets[name] / total_rows for name in shares}
    return Mixture(places=places, target_shares=shares, achieved_shares=achieved, epochs=epochs)


def _epochs_of(name: str, needed: int, available: int, seed: int) -> list[int]:
    """``needed`` rows of a source: whole epochs, each shuffled, then a part of one more."""
    chosen: list[int] = []
    epoch = 0
    while len(chosen) < needed:
        order = list(range(available))
        random.Random(f"mixture/{seed}/{name}/{epoch}").shuffle(order)
        chosen += order[: needed - len(chosen)]
        epoch += 1
    return chosen
