"""Writes by how much seeds and arms differed into ``docs/statistics.md``: ``python docs/tools/spread.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median, stdev

from dsm_repro.pipeline.spread import FEWEST_SEEDS, differences

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "statistics.md"
#: which of two ways of answering a model takes may change with the seed as a whole: a spread of another kind
_APART = ("hybrid",)
_SENTENCE = re.compile(r"In \d+ comparisons of the\nreports here.*?\.(?=\n\n)", re.DOTALL)


def sentence() -> str:
    """What the committed reports at ``scale=mini`` show of the plan's two assumptions."""
    spreads, discordant = [], []
    for path in sorted(ROOT.glob("reports/*/results.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["scale"] != "mini" or path.parent.name in _APART:
            continue
        known = {arm["arm"]: arm["accuracy"] for arm in results["arms"]}
        for one in results["comparisons"]:
            found = one["difference"]
            if one["metric"] != "accuracy" or found is None:
                continue
            sides = (known[one[side]][mode] for side, mode in zip("ab", one["modes"], strict=True))
            each = differences(*sides)
            if len(each) >= FEWEST_SEEDS:
                spreads.append(100 * stdev(each))
                discordant.append((found["only_a"] + found["only_b"]) / (found["replicates"] * found["questions"]))
    return (
        f"In {len(spreads)} comparisons of the\nreports here at `scale=mini` (without `hybrid`) the former was "
        f"{min(spreads):.1f} to {max(spreads):.1f} points, in the middle {median(spreads):.1f},\nwith what the drawn "
        f"questions add to it, and the latter {min(discordant):.1%} to {max(discordant):.1%}."
    )


if __name__ == "__main__":
    PAGE.write_text(_SENTENCE.sub(sentence(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
