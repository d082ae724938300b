"""What the sandbox costs beside a fresh ``python -I``, and what ten thousand programs in a row leave behind.

    python benchmarks/sandbox.py [--part latency|throughput|row] [--backends bwrap userns] [--turns 100]

latency: a trivial program, one that imports sympy and one that solves an equation with it, each in a fresh interpreter
and in each back-end, in turn within one run, so that a busy machine slows them all; medians, and the median of the
ratios of neighbours. The sandbox's first use of sympy, which imports it, is not counted and printed apart.
throughput: trivial programs a second, one worker and two.
row: 10,000 trivial programs with one worker; processes, descriptors and memory of the warm interpreter, and mounts,
processes and files of the machine, before and after.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from dsm_repro.config.evaluation_schema import SandboxConfig
from dsm_repro.reasoning.sandbox import Sandbox
from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.reasoning.sandbox.controller import probe

PROGRAMS = {
    "trivial": "print(6 * 7)",
    "imports sympy": "import sympy\nprint(sympy.Integer(6) * 7)",
    "solves with sympy": "from sympy import symbols, solve\nx = symbols('x')\nprint(solve(x**2 - 4, x))",
}
IN_A_ROW = 10_000
FRESH = "python -I"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=["latency", "throughput", "row"])
    parser.add_argument("--backends", nargs="+", default=list(ISOLATED))
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--in-a-row", type=int, default=IN_A_ROW)
    options = parser.parse_args()
    backends = [name for name in options.backends if probe(name) is None]
    for name in options.backends:
        if reason := probe(name):
            print(f"{name}: {reason}")
    console = Console(width=110)
    if options.part in (None, "latency"):
        console.print(latency(backends, options.turns))
    if options.part in (None, "throughput"):
        console.print(throughput(backends, 10 * options.turns))
    if options.part in (None, "row"):
        for name in backends:
            in_a_row(name, options.in_a_row)


def fresh(program: str) -> None:
    subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=True)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1_000 * (time.perf_counter() - started)


def latency(backends: list[str], turns: int) -> Table:
    table = Table("program", "where", "median, ms", "best, ms", "fresh / this", title="latency of one program")
    sandboxes = {name: Sandbox(SandboxConfig(backend=name), workers=1) for name in backends}
    for kind, program in PROGRAMS.items():
        for name, sandbox in sandboxes.items():
            first = _timed(lambda sandbox=sandbox, program=program: sandbox.run(program))
            if "sympy" in kind:
                table.add_row(kind, f"{name}, first", f"{first:.0f}", "", "")
        times: dict[str, list[float]] = {name: [] for name in (FRESH, *sandboxes)}
        # a fresh interpreter takes half a second to import sympy
        for _ in range(turns if kind == "trivial" else max(3, turns // 5)):
            times[FRESH].append(_timed(lambda program=program: fresh(program)))
            for name, sandbox in sandboxes.items():
                times[name].append(_timed(lambda sandbox=sandbox, program=program: sandbox.run(program)))
        for name, found in times.items():
            ratio = median(a / b for a, b in zip(times[FRESH], found, strict=True))
            table.add_row(kind, name, f"{median(found):.1f}", f"{min(found):.1f}", f"{ratio:.2f}")
    for sandbox in sandboxes.values():
        sandbox.close()
    return table


def throughput(backends: list[str], count: int) -> Table:
    table = Table("back-end", "workers", "programs", "programs a second", title="throughput of trivial programs")
    for name in backends:
        for workers in (1, 2):
            with Sandbox(SandboxConfig(backend=name), workers=workers) as sandbox:
                sandbox.run_many(["print(1)"] * 4 * workers)
                started = time.perf_counter()
                sandbox.run_many([f"print({i})" for i in range(count)])
                table.add_row(name, str(workers), str(count), f"{count / (time.perf_counter() - started):.0f}")
    return table


def in_a_row(name: str, count: int) -> None:
    with Sandbox(SandboxConfig(backend=name), workers=1) as sandbox:
        for i in range(200):
            sandbox.run(f"print({i})")
        zygote = sandbox._pool._state.all[0].process.pid
        before, started = counted(zygote), time.perf_counter()
        right = sum(sandbox.run(f"open('f{i}', 'w').write('x')\nprint({i})").stdout == f"{i}\n" for i in range(count))
        seconds = time.perf_counter() - started
        after = counted(zygote)
        restarted = sandbox._pool._state.all[0].process.pid != zygote
    print(f"{name}: {right:,} of {count:,} right in {seconds:.0f} s ({count / seconds:.0f} a second)")
    print(f"  warm interpreter: {'another one' if restarted else 'the same one'}")
    for what, value in before.items():
        print(f"  {what}: {value:,} -> {after[what]:,}")


def counted(top: int) -> dict[str, int]:
    """What could pile up: of the process ``top`` and those below it, and of the machine."""
    # the last program's supervisor ends after its answer
    time.sleep(0.5)
    tree = [top]
    for pid in tree:
        tree += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree)
    return {
        "processes of the sandbox": len(tree),
        "descriptors of the sandbox": sum(entries(f"/proc/{pid}/fd") for pid in tree),
        "descriptors of its owner": entries("/proc/self/fd"),
        "resident memory of the sandbox, kB": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "processes of the machine": sum(entry.name.isdigit() for entry in Path("/proc").iterdir()),
        "entries of the temporary folders": sum(map(entries, ("/tmp", "/var/tmp", "/dev/shm"))),
    }


def entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


if __name__ == "__main__":
    main()
