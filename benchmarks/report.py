"""Rendering a large sweep: 50 arms × 1,000 questions, from synthetic records, in processes of their own.

    python benchmarks/report.py [--arms 50] [--questions 1000] [--seeds 1] [--turns 3] [--profile]

Prints seconds and processor seconds of each turn (import to last byte; on a loaded machine only the latter says what
rendering costs) and the sizes of what was written. ``--profile`` prints where one turn's time goes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "rl_algorithm"
_RENDER = (
    "import sys; from pathlib import Path; from dsm_repro.reporting.render import render_sweep;"
    f"render_sweep(Path(sys.argv[1]), {NAME!r}, Path(sys.argv[2]))"
)


def write(store: Path, arms: int, questions: int, seeds: int) -> None:
    """A finished sweep of one SFT and otherwise rl arms, each of these with a learning curve, compared with the SFT."""
    sys.path.insert(0, str(ROOT / "tests" / "reporting"))
    import synthetic

    names = {"SFT": 0.4, **{f"arm{i:02d}": 0.4 + 0.2 * i / arms for i in range(1, arms)}}
    claim = {
        "title": f"{arms} arms",
        "comparisons": [{"a": name, "b": "SFT", "expect": "a_greater"} for name in names if name != "SFT"],
    }
    synthetic.write_sweep(
        store, NAME, names, tuple(range(seeds)), questions=questions, claim=claim, curves=tuple(names)[1:]
    )


def render(store: Path, reports: Path) -> tuple[float, float]:
    """(seconds, processor seconds) of one rendering in a fresh process."""
    command = [sys.executable, "-c", _RENDER, str(store), str(reports)]
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    seconds, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("arms", 50), ("questions", 1000), ("seeds", 1), ("turns", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, reports = Path(folder) / "store", Path(folder) / "reports"
        write(store, options.arms, options.questions, options.seeds)
        if options.profile:
            _profile(store, reports)
            return
        for turn in range(1, options.turns + 1):
            seconds, processor = render(store, reports)
            print(f"turn {turn}: {seconds:.2f} s, of processor time {processor:.2f} s")
        sizes = {p.name: p.stat().st_size for p in sorted((reports / NAME).iterdir())}
        print(", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items() if size > 100_000))


def _profile(store: Path, reports: Path) -> None:
    import cProfile
    import pstats

    from dsm_repro.reporting.render import render_sweep

    with cProfile.Profile() as profile:
        render_sweep(store, NAME, reports)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()
