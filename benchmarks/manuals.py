"""A second crawl out of real pages: curation on the HTML manuals of Debian's documentation packages.

    python benchmarks/manuals.py build OUT [--packages DIR]
    python benchmarks/manuals.py run OUT [--part held-out] [--part loop] [--set KEY=VALUE ...]

``build`` fetches python-sympy-doc, octave-doc, gap-doc, python-scipy-doc, git-doc, postgresql-doc-15, apache2-doc
and sqlite3-doc, and for seeds python-mpmath-doc, libeigen3-doc and maxima-doc (``apt-get download``, or ``--packages``
where you have the .deb files; ``dpkg-deb`` unpacks them, nothing is installed). It writes one WARC file and one
domain per package (``sympy.example``, …), and the truth.

``run --part held-out`` trains the classifier on two manuals with mathematics and two without, and scores the other
four, in all 36 ways (``--splits`` takes fewer). ``run --part loop`` runs ``dsm run until=corpus`` on the whole crawl
and compares what it collected, its mathematical domains and its URL paths with the truth. Its seed corpus comes
from outside the crawl: the mathematical pages of the three seed manuals (``--seeds manuals``), the miniature web's
seed pages, word problems of another world (``--seeds miniature``), or the mathematical pages of half of the crawl's
manuals, which are then left out of it (``--seeds half``, both halves). ``--set`` passes overrides on to ``dsm run``.

What it measures: whether a classifier and a domain rule learned in one place hold in another, on pages that nobody
here wrote. What not: a share of the web (eight manuals, chosen by us); mathematics for its own sake (both classes
are software manuals, and a classifier can learn "which manual": hence whole packages are held out).

The truth about a page is a count of formulas in its raw markup (``_formulas.py``): mathematical from three on, if
dense enough; not without any; between, untold and not scored. A look at 20 pages called "not" and 15 called
mathematical in each manual: of the former about half of SymPy's and SciPy's do mathematics, in words or in program
code only, of Octave's 3, of GAP's 1; of the latter 4 of Octave's are about the language, else all are right. So
precision is understated, above all on SymPy and SciPy. And the rule favours a classifier that knows formulas by
their signs, hence ``--without-formulas``, which scores texts with every delimited formula cut out. The truth about
a domain is what its package is about, said by hand; SciPy's is mixed. By the rule 9% of Octave's pages are
mathematical, so that "not" would be no great error at a threshold of 10%.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from _held_out import documents, evaluate, splits
from _loop_check import check_domains, check_pages, check_paths, collected_urls, dsm, listed, record_of
from _manuals_crawl import SEEDS, SUMMARY, build, read_truth
from _manuals_tables import print_crawl, print_loop, print_splits

from dsm_repro.config.errors import DataError, DsmError

#: of the crawl's tokens, how many are collected
TOP_SHARE = 0.2
SEEDINGS = ("manuals", "half", "miniature")
#: halves whose pages seed the loop on the others
HALVES = (("python-sympy-doc", "octave-doc"), ("gap-doc", "python-scipy-doc"))
#: the paper draws 500,000 pages a side; with 2,000 fastText has barely moved at its learning rate of 0.1
DRAWS = 8_000
LOOP_DRAWS = 4_000
ROUNDS = 4
#: narrower than the paper's 256, for minutes instead of an hour
DIM = 64
MINIATURE_PAGES = 6_000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "build":
            build(options.out, options.packages)
            _print_crawl(options.out)
            return 0
        _print_crawl(options.out)
        if "held-out" in (options.part or ["held-out"]):
            _held_out(options)
        if "loop" in (options.part or ["loop"]):
            for seeding in options.seeds or SEEDINGS:
                for half in HALVES if seeding == "half" else ((),):
                    _loop(options, seeding, half)
    except DsmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("build", help="write the crawl and its truth under OUT")
    making.add_argument("out", type=Path, metavar="OUT")
    making.add_argument("--packages", type=Path, help="folder with the .deb files; without it they are downloaded")
    run = commands.add_parser("run", help="measure on the crawl that `build` wrote")
    run.add_argument("out", type=Path, metavar="OUT")
    run.add_argument("--part", action="append", choices=("held-out", "loop"), help="default: both")
    run.add_argument("--splits", type=int, default=36, help="held-out: how many of the 36 (6 or 12 are balanced)")
    run.add_argument("--dim", type=int, default=DIM, help=f"held-out: classifier.dim (default {DIM}, the paper's 256)")
    run.add_argument("--draws", type=int, default=DRAWS, help=f"held-out: training examples a side (default {DRAWS})")
    run.add_argument("--without-formulas", action="store_true", help="held-out: every formula cut out of the texts")
    run.add_argument("--seeds", action="append", choices=SEEDINGS, help="loop: default all")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an override of `dsm run`")
    return parser


def _print_crawl(out: Path) -> None:
    for title, path in (("the crawl", out / SUMMARY), ("seeds", out / SEEDS / SUMMARY)):
        if not path.exists():
            raise DataError(f"{path}: not there. First: python benchmarks/manuals.py build {out}")
        print_crawl(title, json.loads(path.read_text(encoding="utf-8")))


def _held_out(options: argparse.Namespace) -> None:
    """Every split on the pages of stage ``crawl``."""
    from dsm_repro.config.corpus_schema import ClassifierConfig
    from dsm_repro.corpus.crawl import Crawl

    out: Path = options.out
    crawl = Crawl.of(dsm(out / "store", "crawl", _reading(out, options.set)))
    pages = documents(crawl, read_truth(out), formulas=not options.without_formulas)
    config = ClassifierConfig(
        dim=options.dim, positives=options.draws, negatives=options.draws, bucket=100_000, max_repeats=options.draws
    )
    chosen = splits()[: options.splits]
    results = []
    for number, packages in enumerate(chosen, 1):
        results.append(evaluate(pages, packages, config, seed=0, folder=out / "work"))
        print(f"split {number} of {len(chosen)}", file=sys.stderr)
    print_splits(results, "texts without their formulas" if options.without_formulas else "whole texts")


def _loop(options: argparse.Namespace, seeding: str, half: tuple[str, ...]) -> None:
    """``dsm run until=corpus`` on the crawl without the manuals of ``half``."""
    from dsm_repro.corpus.crawl import Crawl

    out: Path = options.out
    reading = _reading(out, options.set, without=half)
    read = dsm(out / "store", "crawl", reading)
    urls, tokens = Crawl.of(read).urls, record_of(read)["tokens"]
    truth = read_truth(out)
    loop = [
        listed("corpus.seed_paths", [_seeds(options, seeding, half)]),
        f"corpus.top_tokens={round(TOP_SHARE * tokens)}",
        f"corpus.rounds={ROUNDS}",
        f"corpus.classifier.positives={LOOP_DRAWS}",
        f"corpus.classifier.negatives={LOOP_DRAWS}",
        f"corpus.classifier.dim={DIM}",
    ]
    artifact = dsm(out / "store", "corpus", [*loop, *reading])
    record, collected = record_of(artifact), collected_urls(artifact)
    print_loop(
        f"seeds: {' and '.join(half) or seeding} {' '.join(options.set)}".strip(),
        record,
        check_pages(urls, collected, truth),
        check_domains(urls, collected, record, truth),
        check_paths(urls, record, truth),
    )


def _reading(folder: Path, further: Sequence[str], without: tuple[str, ...] = ()) -> list[str]:
    """Overrides that read the WARC files of a folder, but for those of some packages."""
    files = [path for path in sorted(folder.glob("*.warc.gz")) if path.name.removesuffix(".warc.gz") not in without]
    return ["corpus=warc", listed("corpus.paths", files), *further]


def _seeds(options: argparse.Namespace, seeding: str, half: tuple[str, ...]) -> Path:
    """A seed corpus from outside the crawl, as JSON lines."""
    out: Path = options.out
    if seeding == "miniature":
        from dsm_repro.config.corpus_schema import WebConfig
        from dsm_repro.miniature.web import write_web

        folder = out / "miniature"
        if not (folder / "seed.jsonl").exists():
            write_web(WebConfig(pages=MINIATURE_PAGES), folder)
        return folder / "seed.jsonl"
    from dsm_repro.corpus.crawl import Crawl

    folder = out if half else out / SEEDS
    crawl, truth = Crawl.of(dsm(out / "store", "crawl", _reading(folder, options.set))), read_truth(folder)
    labels = [truth[url] for url in crawl.urls]
    rows = [row for row, label in enumerate(labels) if label.is_math and (not half or label.package in half)]
    path = out / f"seeds-{'-'.join(half) or seeding}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row, text in zip(rows, crawl.texts(rows), strict=True):
            file.write(json.dumps({"url": crawl.urls[row], "text": text}) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
