"""Near-duplicate detection side by side with datatrove's own steps: pages a second, and F1 of the pairs found.

    pip install 'datatrove[io]' spacy 'xxhash<4' rensa
    python benchmarks/dedup.py [--pages 20000] [--repeat 1] [--only NAME ...]

Every method reads the same parquet files, one process each, one after another; ours and datatrove's run
whole: signatures, buckets, groups, and the pages that stay read once more. Seconds are the process's own
processor time, which another job on the machine disturbs less than the clock does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from _datatrove_dedup import MODULES, VARIANTS, groups
from _dedup_documents import KINDS, TRUTH, write_documents
from rich.console import Console
from rich.table import Table

from dsm_repro.config.corpus_schema import MinHashConfig

FILES = 4
MEMORY_BYTES = 1_000_000_000
OUR_MODULES = (
    "datasketch",
    "rensa",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "dsm_repro.corpus.crawl",
    "dsm_repro.corpus.dedup",
)
OURS = {"ours, rensa": "rensa", "ours, datasketch": "datasketch"}


def our_groups(crawl: Path, folder: Path, signer: str) -> tuple[list[list[int]], dict[str, float]]:
    """Rows of each group, and the processor seconds of each part."""
    from dsm_repro.corpus.crawl import Crawl, read_column
    from dsm_repro.corpus.dedup import cluster, write_signatures

    clock = _Clock()
    config = MinHashConfig(signer=signer)
    paths = sorted(crawl.glob("*.parquet"))
    shards = [folder / path.stem for path in paths]
    for path, shard in zip(paths, shards, strict=True):
        write_signatures(read_column(path, "text"), config, shard)
    clock.mark("signatures")
    pages = Crawl(paths)
    near = cluster(shards, pages.texts, pages.tokens, config, MEMORY_BYTES, folder / "scratch")
    clock.mark("groups")
    stays = np.ones(len(pages), dtype=bool)
    stays[near.rows] = False
    kept = (text for path in paths for text in read_column(path, "text"))
    assert sum(bool(keep) for keep, _ in zip(stays, kept, strict=True)) == stays.sum()
    clock.mark("filter")
    found: dict[int, list[int]] = {keeper: [keeper] for keeper in near.keepers.tolist()}
    for row, keeper in zip(near.rows.tolist(), near.keepers.tolist(), strict=True):
        found[keeper].append(row)
    return list(found.values()), clock.parts


class _Clock:
    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = time.process_time()

    def mark(self, name: str) -> None:
        now = time.process_time()
        self.parts[name], self._last = now - self._last, now


def run(name: str, crawl: Path, folder: Path) -> dict[str, Any]:
    """One method in this process: its groups and seconds."""
    # importing is not what is measured
    for module in OUR_MODULES if name in OURS else MODULES:
        import_module(module)
    began, clock = time.process_time(), time.perf_counter()
    if name in OURS:
        found, parts = our_groups(crawl, folder, OURS[name])
    else:
        found, parts = groups(crawl, folder, FILES, **VARIANTS[name]), {}
    return {
        "groups": found,
        "parts": parts,
        "cpu": time.process_time() - began,
        "wall": time.perf_counter() - clock,
    }


def in_a_process(name: str, crawl: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=crawl.parent) as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--run", name, str(crawl), folder, str(out)]
        # one thread each: rensa would use every core
        environment = os.environ | {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr[-2000:]}")
        return json.loads(out.read_text())


def main(pages: int, repeat: int, only: list[str]) -> None:
    names = [name for name in (*OURS, *VARIANTS) if not only or name in only]
    with tempfile.TemporaryDirectory() as folder:
        crawl = Path(folder) / "crawl"
        write_documents(pages, FILES, crawl)
        truth = json.loads((crawl / TRUTH).read_text())
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(repeat):
            for name in names:
                results[name].append(in_a_process(name, crawl))
                print(name, *(f"{key}={results[name][-1][key]}" for key in ("cpu", "wall", "parts")), flush=True)
    show(pages, results, truth)


def show(pages: int, results: dict[str, list[dict[str, Any]]], truth: list[tuple[str, int, int, float]]) -> None:
    """A row for each method: throughput and its ratio to datatrove's, and what it found of each kind of copy."""
    table = Table(title=f"{pages:,} pages, {len(truth):,} of them copies")
    for heading in ("method", "pages/s", "× datatrove", "× with split()", "precision", "recall", "F1", *KINDS):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    best = {name: min(one["cpu"] for one in runs) for name, runs in results.items()}
    true = {(first, second) for kind, first, second, _ in truth if KINDS[kind][3]}
    sizes = Counter(kind for kind, *_ in truth)
    for name, runs in results.items():
        found = {pair for group in runs[0]["groups"] for pair in combinations(sorted(group), 2)}
        hits = len(found & true)
        shares = Counter(kind for kind, first, second, _ in truth if (first, second) in found)
        table.add_row(
            name,
            f"{pages / best[name]:,.0f}",
            *(f"{best[base] / best[name]:.1f}" if base in best else "" for base in list(VARIANTS)[:2]),
            f"{hits / len(found):.4f}",
            f"{hits / len(true):.4f}",
            f"{2 * hits / (len(found) + len(true)):.4f}",
            *(f"{shares[kind] / sizes[kind]:.3f}" for kind in KINDS),
        )
    Console(width=160).print(table)
    print("last columns: share of the copies of a kind put into one group with their original; similarity "
          + ", ".join(f"{kind} {low:.2f}-{high:.2f}" for kind, (_, low, high, _) in KINDS.items()))  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        _, _, method, place, work, result = sys.argv
        Path(result).write_text(json.dumps(run(method, Path(place), Path(work))))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="names of methods: " + ", ".join([*OURS, *VARIANTS]))
    arguments = parser.parse_args()
    main(arguments.pages, arguments.repeat, arguments.only)
