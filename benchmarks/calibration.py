"""How often the verdict is wrong where nothing differs, and how often it finds the difference that the plan states.

    python benchmarks/calibration.py [--sweeps 1000] [--resamples 500] [--only 3x800]

Simulated sweeps with a known truth (``_simulated_sweeps``) go through the report's own comparison, Holm and verdict.
Prints the table of docs/statistics.md. With 500 resamples instead of the report's 10,000 an interval's ends wander by a
few hundredths of its width, which the last line measures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

from _simulated_sweeps import Rates, Scenario

from dsm_repro.pipeline.detectable import minimum_detectable

#: an effect beyond this, added up over the arms of a sweep, is more than the accuracies leave room for
ROOM = 60.0

SCENARIOS: dict[str, Scenario] = {
    "nothing trained": Scenario(seeds=1, seed_sd=0.0, untrained=True),
    "one seed": Scenario(seeds=1),
    "two seeds": Scenario(seeds=2),
    "seeds agree": Scenario(questions=100, seed_sd=0.0),
    "": Scenario(questions=100, seed_sd=2.0),
    "seeds differ much": Scenario(questions=100, seed_sd=6.0, comparisons=3),
    "seeds agree, 800": Scenario(seed_sd=0.0),
    "800": Scenario(),
    "two comparisons": Scenario(comparisons=2),
    "three comparisons": Scenario(comparisons=3),
    "seeds differ much, three comparisons": Scenario(seed_sd=6.0, comparisons=3),
    "fine-tuned models differ by seed too": Scenario(shared_sd=4.0),
    "one checkpoint against its seeds": Scenario(one_checkpoint=True),
    "a seed that goes wrong": Scenario(seed_sd=4.0, heavy=True),
    "maj@4": Scenario(metric="maj@4"),
    "pass@4": Scenario(metric="pass@4"),
    "not greater, margin 2": Scenario(expect="a_not_greater", margin=2.0, effect=2.0),
    "five seeds, 100": Scenario(seeds=5, questions=100),
    "five seeds agree": Scenario(seeds=5, seed_sd=0.0),
    "five seeds": Scenario(seeds=5),
    "five seeds, three comparisons": Scenario(seeds=5, comparisons=3),
    "five seeds differ much, three comparisons": Scenario(seeds=5, seed_sd=6.0, comparisons=3),
}


def stated(scenario: Scenario) -> float | None:
    """What the plan calls detectable, in points; None where it states nothing."""
    if scenario.metric != "accuracy":
        return None
    truth = scenario.truth
    seed_sd = truth.seed_sd if not scenario.untrained else 0.0
    found = minimum_detectable(
        scenario.questions, scenario.seeds, seed_sd, truth.discordant, comparisons=scenario.comparisons
    )
    return None if found is None else 100 * found


def at(scenario: Scenario, detectable: float) -> Scenario:
    """The same kind of sweep, with the stated difference as the truth."""
    away = scenario.margin - detectable if scenario.expect == "a_not_greater" else detectable
    return replace(scenario, effect=away)


def rows(sweeps: int, resamples: int, only: str) -> Iterator[str]:
    for name, scenario in SCENARIOS.items():
        size = f"{scenario.seeds}x{scenario.questions}"
        if only and only != size:
            continue
        wrong = Rates.of(scenario, sweeps, resamples).decided
        detectable = stated(scenario)
        found = "none" if detectable is None and scenario.metric == "accuracy" else "not stated"
        share = "–"
        if detectable is not None:
            found = f"{detectable:.1f}"
            if detectable * scenario.comparisons <= ROOM:
                share = f"{100 * Rates.of(at(scenario, detectable), sweeps, resamples, seed=2).found:.1f}"
        yield (
            f"| {scenario.seeds} | {scenario.questions} | {scenario.comparisons} | {scenario.seed_sd:g} | {name} "
            f"| {100 * wrong:.1f} | {found} | {share} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--only", default="", help="seeds x questions, as 3x800")
    options = parser.parse_args()
    print("| seeds | questions | comparisons | SD of seeds | | wrongly decided, % | stated detectable | found, % |")
    print("|---:|---:|---:|---:|---|---:|---:|---:|", flush=True)
    for row in rows(options.sweeps, options.resamples, options.only):
        print(row, flush=True)
    few = Rates.of(Scenario(), 100, options.resamples).decided
    many = Rates.of(Scenario(), 100, 10_000).decided
    print(f"\nThe same 100 sweeps with {options.resamples} and 10,000 resamples: {few:.2f} and {many:.2f} decided.")


if __name__ == "__main__":
    main()
