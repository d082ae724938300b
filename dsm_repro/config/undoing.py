"""Overrides of the user against the arms of a sweep file: they win, unless they undo what the sweep varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import Override

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.factor import differing, under
from dsm_repro.config.schema import Config
from dsm_repro.config.sweep_schema import SweepConfig


def key_of(override: Override) -> str:
    """The dotted path that an override sets: a key, or a group."""
    return override.key_or_group.replace("/", ".")


def without_overridden(arm: str, own: Sequence[Override], user: Sequence[Override], claim: SweepConfig) -> list[str]:
    """The arm's own overrides less those that the user overrides; raises ConfigError where that undoes the factor."""
    kept = []
    for override in own:
        winner = next((u for u in user if under(key_of(override), [key_of(u)])), None)
        if winner is None:
            kept.append(override.input_line or "")
        elif under(key_of(override), _factor(claim)):
            raise _undoes(winner, claim, f"arm {arm} sets {override.input_line}")
    return kept


def touching(user: Sequence[Override], claim: SweepConfig) -> list[Override]:
    """Those of the user's overrides that set something of the factor, or all of it."""
    factor = _factor(claim)
    return [u for u in user if under(key_of(u), factor) or any(under(path, [key_of(u)]) for path in factor)]


def refuse_leaves(plain: Mapping[str, Config], touching: Sequence[Override], claim: SweepConfig) -> None:
    """Raise ConfigError for an override of a leaf of the factor in which the arms differ.

    An arm that sets a level (``rl=ppo``) says nothing of the leaves in it, so the configs are asked: ``plain`` are
    those of the arms without the overrides in question. With one value for all, arms would run under false labels.
    """
    first, *rest = plain
    for arm in rest:
        for path, (ours, theirs) in differing(plain[first], plain[arm]).items():
            winner = next((u for u in touching if under(path, _factor(claim)) and under(path, [key_of(u)])), None)
            if winner is not None:
                raise _undoes(winner, claim, f"{path} is {ours!r} in arm {first}, {theirs!r} in arm {arm}")


def _factor(claim: SweepConfig) -> list[str]:
    return [path.strip() for path in claim.factor.split(",")]


def _undoes(override: Override, claim: SweepConfig, how: str) -> ConfigError:
    return ConfigError(
        f"{override.input_line}: sweep={claim.name} varies {claim.factor} between its arms ({how}). Leave it out, or "
        f"run it alone: dsm run {override.input_line}"
    )
