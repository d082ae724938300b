"""How much seeds differed when a sweep was last reported at this scale: what a plan may expect of the next ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsm_repro.config.compose import Sweep
from dsm_repro.config.errors import DataError
from dsm_repro.config.sweep_schema import ComparisonConfig

#: fewer seeds of a comparison say nothing of their spread
FEWEST_SEEDS = 3
#: fewer seeds say too little of their own spread alone
OWN_SEEDS = 5
#: three that happen to agree do not show that others would
LEAST = 0.005

#: a, b, and the mode of each
Pair = tuple[str, str, str, str]


@dataclass(frozen=True)
class Spread:
    """Standard deviations over seeds of the difference between two arms, as shares.

    They hold what the drawn questions add to each seed, so they are rather too large.
    """

    #: over the comparisons of the sweep
    pooled: float
    #: of each comparison that had five seeds or more: one arm that starts from the other, or from where the other
    #: starts, may differ from it by much the same at every seed while a third does not
    own: Mapping[Pair, float] = field(default_factory=dict)

    def of(self, comparison: ComparisonConfig) -> float:
        return self.own.get(_pair(comparison), self.pooled)


def past_spread(reports: Path, sweep: Sweep) -> Spread | None:
    """From ``results.json`` of the sweep's last report at the same scale; None where there is none, or none of its
    comparisons has three seeds.

    Raises:
        DataError: the file cannot be read.
    """
    path = reports / sweep.name / "results.json"
    if not path.is_file():
        return None
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["scale"] != sweep.arms[0].config.scale.name:
            return None
        known = {arm["arm"]: arm.get("accuracy") or {} for arm in results["arms"]}
        pairs = {_pair(comparison) for comparison in sweep.claim.comparisons if comparison.metric == "accuracy"}
        found = {
            (a, b, mode, mode_b): differences(known.get(a, {}).get(mode), known.get(b, {}).get(mode_b))
            for a, b, mode, mode_b in sorted(pairs)
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a report's results ({error!r}). Render it again: dsm report.") from error
    told = {pair: values for pair, values in found.items() if len(values) >= FEWEST_SEEDS}
    if not told:
        return None
    own = {pair: _pooled([values]) for pair, values in told.items() if len(values) >= OWN_SEEDS}
    return Spread(_pooled(list(told.values())), own)


def _pair(comparison: ComparisonConfig) -> Pair:
    return comparison.a, comparison.b, comparison.mode, comparison.mode_b or comparison.mode


def _pooled(groups: Sequence[Sequence[float]]) -> float:
    squares = sum(sum((value - sum(values) / len(values)) ** 2 for value in values) for values in groups)
    return max(LEAST, math.sqrt(squares / sum(len(values) - 1 for values in groups)))


def differences(a: dict[str, Any] | None, b: dict[str, Any] | None) -> list[float]:
    """Of each seed that both arms have: a's accuracy less b's, as a share. None for arms whose runs have many seeds."""
    of_a, of_b = (
        {run["seeds"][0]: run["accuracy"] / 100 for run in (arm or {}).get("by_seed", []) if len(run["seeds"]) == 1}
        for arm in (a, b)
    )
    return [of_a[seed] - of_b[seed] for seed in sorted(of_a.keys() & of_b.keys())]
