"""Tables of ``benchmarks/manuals.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from _held_out import Counts, Result
from _loop_check import DomainCheck, PathCheck
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH = 130
#: paths listed for a domain; the rest is counted
_PATHS = 40


def print_crawl(title: str, summary: Sequence[Mapping[str, object]]) -> None:
    """Packages, versions and pages."""
    rows = [[str(item[key]) for key in ("package", "version", "domain", "subject", "pages", "mathematical", "untold")]
            for item in summary]  # fmt: skip
    _print(title, ("package", "version", "domain", "subject", "pages", "mathematical", "untold"), rows, left=4)


def print_splits(results: Sequence[Result], texts: str) -> None:
    """All splits together, then each package over the splits that held it out."""
    whole = [result.all for result in results]
    rows = [
        [name, *_spread(value)]
        for name, value in (
            ("F1", [item.f1 for item in whole]),
            ("precision", [item.precision for item in whole]),
            ("recall", [item.recall for item in whole]),
            ("false alarms", [item.false_alarms for item in whole]),
            ("average precision", [result.average_precision for result in results]),
            ("share of mathematical pages", [_share(item) for item in whole]),
        )
    ]
    title = f"pages of held-out packages, {texts}, {len(results)} splits"
    _print(title, ("four packages held out", "mean", "lowest", "highest"), rows, left=1)
    rows = []
    for package in sorted({name for result in results for name in result.by_package}):
        counts = [result.by_package[package] for result in results if package in result.by_package]
        one = counts[0]
        mathematical = one.true_positives + one.false_negatives
        rows.append([
            package, str(len(counts)), str(mathematical), str(one.false_positives + one.true_negatives),
            *(_spread([measure(item) for item in counts])[0] if mathematical or measure is MEASURES[-1] else ""
              for measure in MEASURES),
            "–".join(_spread([item.f1 for item in counts])[1:]) if mathematical else "",
        ])  # fmt: skip
    heads = ("package", "held out", "maths", "other", "F1", "precision", "recall", "false alarms", "F1 from–to")
    _print("each package while it was held out (means)", heads, rows, left=1)


def print_loop(
    seeds: str, record: Mapping[str, Any], pages: Counts, domains: Iterable[DomainCheck], paths: Sequence[PathCheck]
) -> None:
    """The funnel by round, then pages, domains and paths against the truth."""
    rows = [
        [str(item["round"]), str(item["positives"]), str(item["pages"]), str(item["tokens"]),
         _number(item["threshold"]), _number(item["overlap"]), str(item["math_domains"]),
         f"{item['accepted_prefixes']} of {item['proposed_prefixes']}", str(item["new_positives"])]
        for item in record["rounds"]
    ]  # fmt: skip
    heads: tuple[str, ...] = (
        "round",
        "positives",
        "pages",
        "tokens",
        "threshold",
        "overlap",
        "domains",
        "paths accepted",
        "new",
    )
    _print(f"the loop, {seeds}", heads, rows, left=0)
    print(
        f"collected pages that the truth can tell: precision {_number(pages.precision)}, "
        f"recall {_number(pages.recall)}, mathematical by chance {_number(_share(pages))}"
    )
    rows = [
        [item.domain, item.subject, str(item.pages), f"{item.mathematical} of {item.labelled}", str(item.collected),
         f"{item.collected / item.pages:.0%}", "mathematical" if item.found else "not",
         "" if item.subject == "mixed" else "right" if item.found == (item.subject == "mathematics") else "WRONG"]
        for item in domains
    ]  # fmt: skip
    heads = ("domain", "subject", "pages", "mathematical", "collected", "share", "called", "")
    _print("domains after the last round", heads, rows, left=2)
    judged = [item for item in paths if item.should is not None]
    right = sum(item.accepted == item.should for item in judged)
    rows = [
        [item.domain, item.path, str(item.pages), f"{item.mathematical} of {item.labelled}",
         f"{item.collected_share:.0%}",
         "accepted" if item.accepted else "rejected",
         "" if item.should is None else "right" if item.accepted == item.should else "WRONG"]
        for item in sorted(paths, key=lambda item: (item.domain, -item.pages))[:_PATHS]
    ]  # fmt: skip
    title = f"URL paths: {right} of {len(judged)} as most of their pages are"
    _print(title, ("domain", "path", "pages", "mathematical", "collected", "decision", ""), rows, left=2)


def _share(counts: Counts) -> float:
    there = counts.true_positives + counts.false_negatives
    return there / max(there + counts.false_positives + counts.true_negatives, 1)


MEASURES: tuple[Callable[[Counts], float | None], ...] = (
    lambda item: item.f1,
    lambda item: item.precision,
    lambda item: item.recall,
    lambda item: item.false_alarms,
)


def _spread(values: Sequence[float | None]) -> list[str]:
    """Mean, lowest and highest of those that are defined."""
    there = [value for value in values if value is not None]
    return [_number(value) for value in (mean(there), min(there), max(there))] if there else ["", "", ""]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _print(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> None:
    table = Table(title=escape(title))
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index < left else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=_WIDTH).print(table)
