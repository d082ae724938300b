"""What a plain multirun (``rl=grpo,ppo seed=0,1,2``) leaves unsaid: its name, and what its arms are set beside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dsm_repro.config.factor import HOW_AND_WHERE, differing, under
from dsm_repro.config.schema import Config
from dsm_repro.config.sweep_schema import ComparisonConfig

#: overrides under these keys say how and where to work, not what the arm is
NOT_THE_ARM = (*HOW_AND_WHERE, "hydra")

STATEMENT = "Arms that differ in one value are set beside each other."


def contrasts(chosen: Mapping[str, Mapping[str, str]], modes: Mapping[str, Sequence[str]]) -> list[ComparisonConfig]:
    """Every arm against the one that has the first value of one key and else the same values; nothing is expected.

    ``chosen``: arm -> key -> value, in the order asked for. Arms that differ in two values are not set against each
    other: what makes the difference could not be told. ``modes``: arm -> how it is evaluated.
    """
    return [
        ComparisonConfig(a=arm, b=other, mode=mode, expect="none")
        for arm, other in _pairs(chosen)
        for mode in modes[arm]
        if mode in modes[other]
    ]


def caveats(chosen: Mapping[str, Mapping[str, str]], modes: Mapping[str, Sequence[str]]) -> list[str]:
    """Of arms that differ in one value and yet are not compared: why not."""
    return [
        f"{arm} and {other} are not set beside each other: they are evaluated in different modes."
        for arm, other in _pairs(chosen)
        if not set(modes[arm]) & set(modes[other])
    ]


def _pairs(chosen: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    arm_of = {tuple(values.items()): arm for arm, values in chosen.items()}
    first: Mapping[str, str] = next(iter(chosen.values()), {})
    for key in first:
        for arm, values in chosen.items():
            other = arm_of[tuple({**values, key: first[key]}.items())]
            if other != arm:
                yield arm, other


def consequences(configs: list[Config], factor: list[str]) -> list[str]:
    """What else differs between the arms, so that the report can say it."""
    found: dict[str, Any] = {}
    for config in configs[1:]:
        found.update(differing(configs[0], config))
    return sorted(path for path in found if not under(path, factor))


def title_of(lines: list[str]) -> str:
    """The words that tell the arms, for the head of the report."""
    return " ".join(_telling(lines)) or "One arm"


def name_of(lines: list[str]) -> str:
    """A folder name for a command without a sweep file: the same command gives the same name."""
    said = sorted(_telling(lines))
    if not said:
        return "run"
    slug = re.sub(r"[^A-Za-z0-9]+", "-", " ".join(said)).strip("-")[:40]
    return f"run-{slug}-{hashlib.sha256(' '.join(said).encode()).hexdigest()[:6]}"


def _telling(lines: list[str]) -> list[str]:
    return [line for line in lines if not under(line.split("=")[0].lstrip("+~").replace("/", "."), NOT_THE_ARM)]
