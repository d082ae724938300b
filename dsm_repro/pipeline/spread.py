"""How much seeds differed when a sweep was last reported at this scale: what a plan may expect of the next ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from dsm_repro.config.compose import Sweep
from dsm_repro.config.errors import DataError

#: fewer seeds of a comparison say nothing of their spread
FEWEST_SEEDS = 3
#: three that happen to agree do not show that others would
LEAST = 0.005


def past_seed_sd(reports: Path, sweep: Sweep) -> float | None:
    """Standard deviation over seeds of the difference between two arms, as a share, pooled over the comparisons.

    From ``results.json`` of the sweep's last report at the same scale; None where there is none, or none of its
    comparisons has three seeds. It holds what the drawn questions add to each seed, so it is rather too large.

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
        pairs = {(c.a, c.b, c.mode, c.mode_b or c.mode) for c in sweep.claim.comparisons if c.metric == "accuracy"}
        found = [_differences(known.get(a, {}).get(mode), known.get(b, {}).get(mode_b)) for a, b, mode, mode_b in pairs]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a report's results ({error!r}). Render it again: dsm report.") from error
    told = [values for values in found if len(values) >= FEWEST_SEEDS]
    if not told:
        return None
    squares = sum(sum((value - sum(values) / len(values)) ** 2 for value in values) for values in told)
    return max(LEAST, math.sqrt(squares / sum(len(values) - 1 for values in told)))


def _differences(a: dict[str, Any] | None, b: dict[str, Any] | None) -> list[float]:
    """Of each seed that both arms have: a's accuracy less b's, as a share. None for arms whose runs have many seeds."""
    of_a, of_b = (
        {run["seeds"][0]: run["accuracy"] / 100 for run in (arm or {}).get("by_seed", []) if len(run["seeds"]) == 1}
        for arm in (a, b)
    )
    return [of_a[seed] - of_b[seed] for seed in sorted(of_a.keys() & of_b.keys())]
