"""How curation did against the hidden labels of a web that was made with them (``truth.jsonl``)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from dsm_repro.corpus.loop import Round
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.url import clean


@dataclass(frozen=True)
class Label:
    """The truth about one page; ``original`` is the page that it copies, itself if it is no copy."""

    is_math: bool
    quality: str | None
    domain: str
    original: str
    leak: bool


def read_truth(path: Path) -> dict[str, Label]:
    """Labels by cleaned URL."""
    labels: dict[str, Label] = {}
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        url = clean(row["url"])
        if url is None or url in labels:  # the first of two records with one address is the one that is kept
            continue
        original = clean(row["duplicate_of"]) if row.get("duplicate_of") else None
        labels[url] = Label(
            bool(row["is_math"]), row.get("quality"), row["domain"], original or url, bool(row.get("leak_of"))
        )
    return labels


def precision_recall(found: Collection[Any], there: Collection[Any]) -> dict[str, float | int | None]:
    """Counts and shares of two sets: what was found and what is there."""
    hits = len(set(found) & set(there))
    return {
        "found": len(found),
        "true": len(there),
        "hits": hits,
        "precision": hits / len(found) if found else None,
        "recall": hits / len(there) if there else None,
    }


def check_rounds(
    rounds: Sequence[Round], pool: Sequence[Page], crawl: Sequence[Page], labels: Mapping[str, Label], threshold: float
) -> list[dict[str, Any]]:
    """Selection and mathematical domains of every round, against the labels."""
    maths = {page.url for page in pool if page.url in labels and labels[page.url].is_math}
    good = {url for url in maths if labels[url].quality == "good"}
    totals = Counter(page.domain for page in crawl)
    mathematical = Counter(page.domain for page in crawl if page.url in labels and labels[page.url].is_math)
    true_domains = {name for name, total in totals.items() if mathematical[name] / total > threshold}
    return [
        {
            "round": item.number,
            "maths": precision_recall(item.collected, maths),
            "good_maths": precision_recall(item.collected, good),
            "domains": precision_recall([domain.domain for domain in item.domains], true_domains),
        }
        for item in rounds
    ]


def check_duplicates(pages: Sequence[Page], keeper: Sequence[int], labels: Mapping[str, Label]) -> dict[str, Any]:
    """Pairs put into one group against pairs that copy one original."""
    predicted: dict[int, list[str]] = defaultdict(list)
    actual: dict[str, list[str]] = defaultdict(list)
    for index, page in enumerate(pages):
        predicted[keeper[index]].append(page.url)
        if page.url in labels:
            actual[_root(page.url, labels)].append(page.url)
    return precision_recall(_pairs(predicted.values()), _pairs(actual.values()))


def check_decontamination(
    pages: Sequence[Page], removed: Collection[str], labels: Mapping[str, Label]
) -> dict[str, Any]:
    """Leaks removed, and pages removed that were not made as leaks."""
    leaks = {page.url for page in pages if page.url in labels and labels[page.url].leak}
    return {
        "leaks": len(leaks),
        "leaks_removed": len(leaks & set(removed)),
        "others": len(pages) - len(leaks),
        "others_removed": len(set(removed) - leaks),
    }


def _root(url: str, labels: Mapping[str, Label]) -> str:
    seen = set()
    while url in labels and labels[url].original != url and url not in seen:
        seen.add(url)
        url = labels[url].original
    return url


def _pairs(groups: Collection[list[str]]) -> set[tuple[str, str]]:
    return {pair for urls in groups for pair in combinations(sorted(urls), 2)}
