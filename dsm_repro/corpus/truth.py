"""How curation did against the hidden labels of a web that was made with them (``truth.jsonl``)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.corpus.domains import mathematical, partition
from dsm_repro.corpus.url import clean as cleaned

if TYPE_CHECKING:
    import numpy as np

    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.loop import Round


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
        url = cleaned(row["url"])
        if url is None or url in labels:  # the first of two records with one address is the one that is kept
            continue
        original = cleaned(row["duplicate_of"]) if row.get("duplicate_of") else None
        labels[url] = Label(
            bool(row["is_math"]), row.get("quality"), row["domain"], original or url, bool(row.get("leak_of"))
        )
    return labels


def precision_recall(found: Collection[Any], there: Collection[Any]) -> dict[str, float | int | None]:
    """Counts and shares of two sets: what was found and what is there."""
    return _figures(len(found), len(there), len(set(found) & set(there)))


def _figures(found: int, there: int, hits: int) -> dict[str, float | int | None]:
    return {
        "found": found,
        "true": there,
        "hits": hits,
        "precision": _share(hits, found),
        "recall": _share(hits, there),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def check_rounds(
    rounds: Sequence[Round], crawl: Crawl, clean: Sequence[bool], labels: Mapping[str, Label], threshold: float
) -> list[dict[str, Any]]:
    """Selection and mathematical domains of every round, against the labels.

    ``token_precision`` weighs pages by their tokens, as the selection does.
    ``at_full_volume`` is what the same scores collect at the volume of the last round. A round that
    collects less is more precise for that alone, so it is there that rounds can be compared.
    """
    import numpy as np

    allowed = np.asarray(clean, dtype=bool)
    known = [labels.get(url) for url in crawl.urls]
    maths = np.array([label is not None and label.is_math for label in known], dtype=bool)
    good = np.array([label is not None and label.quality == "good" for label in known], dtype=bool)
    tokens = np.asarray(crawl.tokens, dtype=np.int64)
    parted = partition(crawl.domains)

    def pages(found: np.ndarray, there: np.ndarray) -> dict[str, Any]:
        hits = found & there
        figures = _figures(int(found.sum()), int(there.sum()), int(hits.sum()))
        return {**figures, "token_precision": _share(int(tokens[hits].sum()), int(tokens[found].sum()))}

    def domains(mask: np.ndarray) -> set[str]:
        return {domain.domain for domain in mathematical(parted, mask, threshold)}

    def check(collected: np.ndarray) -> dict[str, Any]:
        return {
            "maths": pages(collected, maths & allowed),
            "good_maths": pages(collected, good & allowed),
            "domains": precision_recall(domains(collected), domains(maths)),
        }

    return [
        {
            "round": item.number,
            **check(item.collected),
            "at_full_volume": check(item.at_full_volume),
        }
        for item in rounds
    ]


def check_duplicates(urls: Sequence[str], keepers: Mapping[int, int], labels: Mapping[str, Label]) -> dict[str, Any]:
    """Pairs of rows put into one group against pairs that copy one original. ``keepers``: row → the row that stays."""
    predicted: dict[int, list[int]] = defaultdict(list)
    actual: dict[str, list[int]] = defaultdict(list)
    for row, url in enumerate(urls):
        keeper = row
        while keeper in keepers:
            keeper = keepers[keeper]
        predicted[keeper].append(row)
        if url in labels:
            actual[_root(url, labels)].append(row)
    return precision_recall(_pairs(predicted.values()), _pairs(actual.values()))


def check_decontamination(urls: Sequence[str], removed: Collection[str], labels: Mapping[str, Label]) -> dict[str, Any]:
    """Leaks removed, and pages removed that were not made as leaks."""
    leaks = {url for url in urls if url in labels and labels[url].leak}
    return {
        "leaks": len(leaks),
        "leaks_removed": len(leaks & set(removed)),
        "others": len(urls) - len(leaks),
        "others_removed": len(set(removed) - leaks),
    }


def _root(url: str, labels: Mapping[str, Label]) -> str:
    seen = set()
    while url in labels and labels[url].original != url and url not in seen:
        seen.add(url)
        url = labels[url].original
    return url


def _pairs(groups: Collection[list[int]]) -> set[tuple[int, int]]:
    return {pair for rows in groups for pair in combinations(rows, 2)}
