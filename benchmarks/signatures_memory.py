"""Deduplication of 10^4, 10^5 and 10^6 generated pages: microseconds a page of each step, and peak memory.

    python benchmarks/signatures_memory.py [--signer rensa] [--memory 1000000000] [--pages 10000 100000 1000000]

Every tenth page copies one in the first half of those before it, with two more words; one in a hundred is
the same notice. Each size runs in a process of its own, whose peak resident memory is what is reported;
"at rest" is that of a process which has imported everything and done nothing. Seconds are processor time,
without the generation of the texts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from dsm_repro.config.corpus_schema import MinHashConfig
from dsm_repro.corpus.dedup import cluster, duplicate_urls, write_signatures, write_url_keys

WORDS = 60
SHARD = 25_000
_VOCABULARY = [
    f"{first}{second}{third}" for first in "bdfgkl" for second in "aeiou" for third in map(chr, range(97, 123))
]
_NOTICE = "this page has moved please update your bookmarks and tell the owner of the page that sent you here"


def source_of(row: int) -> int | None:
    """The page that this one copies."""
    if row % 10 != 9 or is_notice(row):
        return None
    source = row // 2 - (row // 2) % 10 + 3
    return None if is_notice(source) else source


def is_notice(row: int) -> bool:
    return row % 100 == 42


def text_of(row: int) -> str:
    if is_notice(row):
        return _NOTICE
    source = source_of(row)
    if source is not None:
        return f"{text_of(source)} more words"
    return " ".join(random.Random(row).choices(_VOCABULARY, k=WORDS))


def url_of(row: int) -> str:
    """One in twenty repeats the address of another page."""
    return f"http://e{row % 997}.org/{row // 2 if row % 20 == 19 else row}"


class Texts:
    """Texts by row; ``seconds`` of generation are taken off the clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.fetched = 0

    def __call__(self, rows: Sequence[int]) -> list[str]:
        began = time.process_time()
        made = [text_of(row) for row in rows]
        self.seconds += time.process_time() - began
        self.fetched += len(made)
        return made


def measure(pages: int, signer: str, memory_bytes: int) -> dict[str, Any]:
    """Microseconds a page by step, and peak memory of this process in MB."""
    at_rest = peak_megabytes()
    texts, config = Texts(), MinHashConfig(signer=signer)
    steps: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = [range(start, min(start + SHARD, pages)) for start in range(0, pages, SHARD)]
        for number, rows in enumerate(shards):
            made, urls = texts(rows), [url_of(row) for row in rows]
            with clock(steps, "signatures"):
                write_signatures(made, config, folder / f"bands-{number}")
            with clock(steps, "url keys"):
                write_url_keys(urls, folder / f"urls-{number}")
            del made, urls
        signed = peak_megabytes()
        with clock(steps, "same url"):
            same = duplicate_urls([folder / f"urls-{number}" for number in range(len(shards))], memory_bytes)
        texts.seconds, texts.fetched = 0.0, 0
        places = [folder / f"bands-{number}" for number in range(len(shards))]
        with clock(steps, "groups"):
            near = cluster(places, texts, np.ones(pages, dtype=np.int64), config, memory_bytes, folder / "scratch")
        steps["groups"] -= texts.seconds
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    wanted = {row: source for row in range(pages) if (source := source_of(row)) is not None}
    wanted |= {row: 42 for row in range(43, pages) if is_notice(row)}
    keeper = dict(zip(near.rows.tolist(), near.keepers.tolist(), strict=True))
    hits = sum(keeper.get(row) == keeper.get(source, source) for row, source in wanted.items())
    return {
        "us": {step: seconds / pages * 1e6 for step, seconds in steps.items()},
        "at_rest": at_rest, "signed": signed, "peak": peak_megabytes(), "disk": disk / pages,
        "recall": hits / len(wanted), "precision": hits / max(len(keeper), 1), "fetched": texts.fetched / pages,
        "proposed": near.proposed, "verified": near.verified, "unmatched": near.unmatched, "same_url": len(same.rows),
    }  # fmt: skip


class clock:  # noqa: N801 (reads as a function)
    """Adds processor seconds to a step."""

    def __init__(self, steps: dict[str, float], step: str) -> None:
        self._steps, self._step = steps, step

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._steps[self._step] = self._steps.get(self._step, 0.0) + time.process_time() - self._began


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(sizes: Sequence[int], signer: str, memory_bytes: int) -> Iterator[dict[str, Any]]:
    environment = os.environ | {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for pages in sizes:
        command = [sys.executable, __file__, "--run", str(pages), signer, str(memory_bytes)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        yield json.loads(done.stdout)


def main(sizes: Sequence[int], signer: str, memory_bytes: int) -> None:
    table = Table(title=f"{signer}, memory_bytes={memory_bytes:,}: microseconds a page, megabytes at the peak")
    for heading in ("pages", "signatures", "url keys", "same url", "groups", "at rest", "signed", "peak", "disk B/page",
                    "fetched", "pairs", "similar", "precision", "recall"):  # fmt: skip
        table.add_column(heading, justify="right")
    for pages, found in zip(sizes, measured(sizes, signer, memory_bytes), strict=True):
        table.add_row(
            f"{pages:,}",
            *(f"{found['us'][step]:.1f}" for step in ("signatures", "url keys", "same url", "groups")),
            *(f"{found[name]:.0f}" for name in ("at_rest", "signed", "peak", "disk")),
            f"{found['fetched']:.3f}",
            *(f"{found[name]:,}" for name in ("proposed", "verified")),
            *(f"{found[name]:.4f}" for name in ("precision", "recall")),
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        import datasketch  # noqa: F401 (importing is not what is measured)

        print(json.dumps(measure(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--signer", default="rensa")
    parser.add_argument("--memory", type=int, default=1_000_000_000)
    arguments = parser.parse_args()
    main(arguments.pages, arguments.signer, arguments.memory)
