"""What a sweep costs beside its stages: the wall-clock of its last command, and how long how many stages were running.

    python benchmarks/overhead.py STORE SWEEP ...

Reads the records of finished sweeps; runs nothing. Stages that an earlier command made do not count. Time without any
stage is the command's own: composing, keys, starting workers (each imports torch once), waiting between waves, the
report's arithmetic. Time with fewer stages than workers is the end of a wave, where nothing else can run.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def busy(intervals: list[tuple[float, float]], begin: float, end: float) -> dict[int, float]:
    """Seconds between ``begin`` and ``end`` in which so many of ``intervals`` were under way."""
    events = sorted([(start, 1) for start, _ in intervals] + [(stop, -1) for _, stop in intervals] + [(end, 0)])
    seconds: dict[int, float] = {}
    now, running = begin, 0
    for at, change in events:
        seconds[running] = seconds.get(running, 0.0) + max(at - now, 0.0)
        now, running = max(at, now), running + change
    return seconds


def main(store: Path, sweeps: list[str]) -> None:
    table = Table(title="wall-clock of a sweep's last command")
    for heading in ("sweep", "stages", "their seconds", "wall", "none running", "one", "more", "none / wall"):
        table.add_column(heading, justify="left" if heading == "sweep" else "right")
    for name in sweeps:
        index = json.loads((store / "sweeps" / name / "arms.json").read_text())
        begin, end = moment(index["started"]), moment(index["finished"])
        nodes = {node for arm in index["arms"] for node in arm["stages"].items()}
        manifests = [json.loads((store / stage / key / "manifest.json").read_text()) for stage, key in nodes]
        # a second each: manifests tell whole ones
        own = [(moment(m["started"]), moment(m["finished"])) for m in manifests if moment(m["started"]) >= begin - 1]
        seconds = busy(own, begin, end)
        none, one = seconds.get(0, 0.0), seconds.get(1, 0.0)
        more = sum(value for count, value in seconds.items() if count > 1)
        spent = sum(stop - start for start, stop in own)
        wall = end - begin
        numbers = (f"{spent:.0f}", f"{wall:.0f}", f"{none:.0f}", f"{one:.0f}", f"{more:.0f}", f"{none / wall:.1%}")
        table.add_row(name, str(len(own)), *numbers)
    Console(width=110).print(table)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
