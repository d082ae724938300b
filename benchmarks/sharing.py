"""What sharing stages by content hash saves: stages executed, and seconds, against separate runs.

    python benchmarks/sharing.py STORE [SWEEP ...]

Reads the records of finished sweeps; runs nothing. A sweep that is not finished is left out, and named. "Separate"
counts a stage once for every distinct run that needs it, with the seconds that its one execution took, so both sides
were measured on the same machine in the same runs. Replicates that are one run (an arm without the stage that draws
the seed) count once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

Run = tuple[tuple[str, str], ...]


def runs_of(store: Path, sweep: str) -> set[Run]:
    """The distinct runs of a sweep, each a chain of (stage, key)."""
    index = json.loads((store / "sweeps" / sweep / "arms.json").read_text())
    return {tuple(sorted(arm["stages"].items())) for arm in index["arms"]}


def finished(store: Path, runs: set[Run]) -> bool:
    return all((store / stage / key / "manifest.json").exists() for run in runs for stage, key in run)


def seconds_of(store: Path, stage: str, key: str) -> float:
    return float(json.loads((store / stage / key / "manifest.json").read_text())["seconds"])


def row(store: Path, name: str, runs: set[Run]) -> tuple[str, int, int, float, float]:
    """Name, stages executed, stages of separate runs, and the seconds of either."""
    separate = [node for run in runs for node in run]
    unique = set(separate)
    cost = {node: seconds_of(store, *node) for node in unique}
    return name, len(unique), len(separate), sum(cost.values()), sum(cost[node] for node in separate)


def main(store: Path, sweeps: list[str]) -> None:
    found = sweeps or sorted(path.parent.name for path in store.glob("sweeps/*/arms.json"))
    every = {name: runs_of(store, name) for name in found}
    each = {name: runs for name, runs in every.items() if finished(store, runs)}
    rows = [row(store, name, runs) for name, runs in each.items()]
    rows.append(row(store, "all together", set().union(*each.values())))
    table = Table(title="stages shared by content hash")
    for heading in ("sweep", "executed", "separate", "ratio", "stage seconds", "separate", "ratio"):
        table.add_column(heading, justify="left" if heading == "sweep" else "right")
    for name, unique, separate, spent, apart in rows:
        table.add_row(
            name,
            str(unique),
            str(separate),
            f"{separate / unique:.2f}",
            f"{spent:.0f}",
            f"{apart:.0f}",
            f"{apart / spent:.2f}",
        )
    Console(width=100).print(table)
    if left_out := [name for name in every if name not in each]:
        print(f"not finished: {', '.join(left_out)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
