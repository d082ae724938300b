"""The factor check: two arms of a sweep may differ only where the sweep says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config

if TYPE_CHECKING:
    from dsm_repro.config.compose import Sweep

#: sections that say how and where the work is done, and nothing of the arm
HOW_AND_WHERE = ("execution", "tracker", "paths")
#: beside these the replicate seeds, and the claim itself
IGNORED = (*HOW_AND_WHERE, "sweep", "worker_spec", "seed", "seeds")

ABSENT = "(absent)"


def under(path: str, roots: Sequence[str]) -> bool:
    """Whether a dotted path is one of the roots or lies beneath one."""
    return any(path == root or path.startswith(root + ".") for root in (r.strip() for r in roots) if root)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def flatten(config: Config) -> dict[str, Any]:
    """Dotted path -> value, for every leaf that may tell arms apart (lists are leaves)."""
    return {path: value for path, value in _leaves(asdict(config), "") if not under(path, IGNORED)}


def differing(a: Config, b: Config) -> dict[str, tuple[Any, Any]]:
    """The leaves in which two configs differ, with both values."""
    left, right = flatten(a), flatten(b)
    return {
        path: (left.get(path, ABSENT), right.get(path, ABSENT))
        for path in sorted(left.keys() | right.keys())
        if left.get(path, ABSENT) != right.get(path, ABSENT)
    }


def _seeds(config: Config) -> dict[str, Any]:
    return {"seed": config.seed, **{f"seeds.{stage}": seed for stage, seed in asdict(config.seeds).items()}}


def check_factor(sweep: Sweep) -> None:
    """Raise ConfigError where arms differ outside ``sweep.factor`` and ``sweep.consequences``.

    All arms are compared with the first: a leaf that tells two arms apart tells one of them from it. Each stands for
    its first replicate, whose seed is the same in all, so a seed that differs is one that an arm sets for itself.
    """
    allowed = [*sweep.claim.factor.split(","), *sweep.claim.consequences]
    arms = sweep.first_of_each()
    for arm in arms[1:]:
        ours, theirs = _seeds(arms[0].config), _seeds(arm.config)
        seeds = {path: (ours[path], theirs[path]) for path in ours if ours[path] != theirs[path]}
        found = differing(arms[0].config, arm.config) | seeds
        found = {path: values for path, values in found.items() if not under(path, allowed)}
        if found:
            listed = "; ".join(f"{path}: {left!r} against {right!r}" for path, (left, right) in found.items())
            raise ConfigError(
                f"sweep={sweep.name}: arms {arms[0].name} and {arm.name} differ outside the factor "
                f"{sweep.claim.factor}: {listed}. Set them equal, or declare them under sweep.consequences."
            )
