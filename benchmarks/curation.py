"""Curation's speed: two workers against one, cost of a document at growing size, scoring beside datatrove's filter.

    pip install 'datatrove[io]' rensa
    python benchmarks/curation.py [--part workers] [--part cost] [--part classification] [--folder DIR]

workers: wall-clock of stage ``crawl`` with one process and with two, by turns, on the miniature web's WARC files.
The artifacts have to be the same to the byte. Two is what a machine with two cores can show; on a busy one the
ratio falls short, because the second worker has no core of its own.

cost: processor time of each step for one document, from 10^4 to 10^6 generated documents. Steps that sort or
merge everything may grow as n log n, the others should be flat. Documents are short (``--words``): a longer one
costs more in every step, so the figures are for comparing sizes, not for planning. The largest size is measured
once, the others by turns, the median of which is shown. What is not measured: disks and networks, and the growth of
memory (``signatures_memory.py`` does the signatures').

classification: documents a second of our scoring and of datatrove's ``FastTextClassifierFilter`` on one model and
the same documents, by turns, in one process. Its check for a distribution by name is bypassed, nothing else
(``_curation_classification.py`` says why). The model knows tokens that keep mathematics apart. To give the same
scores datatrove needs these too; on raw text its filter saves making them, and scores words that the model does not
know (``x^2=9,`` is one). Lines of tokens made beforehand show the scoring alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

_WIDTH = 120


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("workers", "cost", "classification"), help="default: all")
    parser.add_argument("--folder", type=Path, help="where documents are written and kept (default: a temporary one)")
    parser.add_argument("--turns", type=int, default=3, help="how often the sides of a comparison take turns")
    parser.add_argument("--pages", type=int, default=8_000, help="workers: pages of the miniature web")
    parser.add_argument("--signer", default="datasketch", choices=("datasketch", "rensa"), help="workers: signer")
    parser.add_argument("--largest", type=int, default=1_000_000, help="cost: documents at most")
    parser.add_argument("--largest-html", type=int, default=100_000, help="cost: HTML pages to extract at most")
    parser.add_argument("--words", type=int, default=80, help="cost: words of a document")
    parser.add_argument("--documents", type=int, default=5_000, help="classification: documents")
    parser.add_argument("--document-words", type=int, default=800, help="classification: words of a document")
    options = parser.parse_args(arguments)
    parts = options.part or ["workers", "cost", "classification"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        if "workers" in parts:
            workers(options.pages, options.turns, options.signer, folder)
        if "cost" in parts:
            cost(options.largest, options.largest_html, options.words, options.turns, folder)
        if "classification" in parts:
            classification(options.documents, options.document_words, options.turns, folder)
    return 0


def workers(pages: int, turns: int, signer: str, folder: Path) -> None:
    """Print the wall-clock seconds of every turn, and the ratio."""
    from _curation_workers import run_stage, write_crawl

    files = write_crawl(pages, folder)
    rows, ratios, seen = [], [], set()
    for turn in range(turns):
        one, two = (run_stage(files, count, folder / "stage", signer) for count in (1, 2))
        seen |= {one.digests, two.digests}
        ratios.append(one.seconds / two.seconds)
        rows.append([str(turn + 1), f"{one.seconds:.1f}", f"{two.seconds:.1f}", f"{ratios[-1]:.2f}"])
    rows.append(["median", "", "", f"{median(ratios):.2f}"])
    same = "the same bytes" if len(seen) == 1 else "DIFFERENT BYTES"
    title = f"stage crawl, {pages} pages in {len(files)} shards, signer {signer}: {same}"
    _print(title, ("turn", "one worker, s", "two workers, s", "ratio"), rows)


def cost(largest: int, largest_html: int, words: int, turns: int, folder: Path) -> None:
    """Print milliseconds a document of each step by number of documents."""
    from _curation_cost import measure, train_model

    model = train_model(folder, words, dim=64, bucket=100_000)
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size < largest] + [largest]
    found: dict[str, dict[int, list[float]]] = {}
    sorts = set()
    measure(sizes[0], min(sizes[0], largest_html), words, folder, model)  # imports and caches, not counted
    for turn in range(turns):
        for size in sizes if turn == 0 else sizes[:-1]:
            # extraction takes longest and reads one file after another whatever their number: one turn
            for item in measure(size, size if size <= largest_html and turn == 0 else 0, words, folder, model):
                found.setdefault(item.step, {}).setdefault(size, []).append(item.milliseconds)
                sorts |= {item.step} if item.sort else set()
    rows = []
    for step, by_size in found.items():
        there = [median(by_size[size]) for size in sizes if size in by_size]
        cells = [f"{median(by_size[size]):.4f}" if size in by_size else "" for size in sizes]
        rows.append([step, *cells, f"{there[-1] / there[0]:.2f}", "sorts" if step in sorts else ""])
    heads = ("step", *(f"{size:,}" for size in sizes), "last / first", "")
    _print(f"milliseconds of processor time a document, {words} words each", heads, rows)


def classification(count: int, words: int, turns: int, folder: Path) -> None:
    """Print documents a second of each way, and ratios to datatrove on the same input."""
    from itertools import chain, islice

    from _curation_classification import seconds, ways
    from _curation_cost import train_model
    from _curation_documents import PER_FILE, documents

    from dsm_repro.corpus.classifier import line

    model = train_model(folder, words, dim=256, bucket=200_000)
    made = chain.from_iterable(documents(number, words) for number in range(-(-count // PER_FILE)))
    raw = [document.text for document in islice(made, count)]
    inputs = {"raw": raw, "lines": [line(text) for text in raw]}
    every = ways(model)
    taken: dict[str, list[float]] = {name: [] for name in every}
    scores: dict[str, list[float]] = {}
    for _ in range(turns):
        for name, way in every.items():
            spent, scores[name] = seconds(way, inputs[way.reads])
            taken[name].append(spent)
    rows = []
    for name, way in every.items():
        ours = taken[way.beside] if way.beside else taken[name]
        ratios = [theirs / mine for mine, theirs in zip(ours, taken[name], strict=True)]
        rows.append([way.name, f"{count / median(taken[name]):,.0f}", f"{median(ratios):.2f}" if way.beside else ""])
    title = f"{count} documents of {words} words, dim 256, {turns} turns"
    _print(title, ("way", "documents a second", "ours is so many times as fast"), rows)
    furthest = max(abs(a - b) for a, b in zip(scores["ours"], scores["same"], strict=True))
    print(f"ours and datatrove's scores of the same tokens differ by at most {furthest:.1e}")


def _print(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=_WIDTH).print(table)


if __name__ == "__main__":
    sys.exit(main())
