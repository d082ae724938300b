"""Which pages of a crawl are copies: first by address, then by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsm_repro.config.corpus_schema import MinHashConfig
from dsm_repro.corpus.crawl import Crawl
from dsm_repro.corpus.pages import Drop

DUPLICATE_URL, NEAR_DUPLICATE = "duplicate_url", "near_duplicate"


@dataclass(frozen=True)
class Copy:
    """Why a row goes: the row that stays for it, and their exact Jaccard similarity (None for one address)."""

    keeper: int
    reason: str
    jaccard: float | None


@dataclass(frozen=True)
class Copies:
    """Rows that go. ``proposed`` and ``verified`` count pairs, ``groups`` the groups of near-duplicates."""

    of: dict[int, Copy]
    proposed: int
    verified: int
    groups: int
    #: pages of a large bucket that were compared with its representatives only, and matched none
    unmatched: int

    @property
    def by_url(self) -> int:
        return sum(copy.reason == DUPLICATE_URL for copy in self.of.values())

    def keepers(self) -> dict[int, int]:
        """Row → the row that stays for it."""
        return {row: copy.keeper for row, copy in self.of.items()}

    def staying(self, crawl: Crawl) -> Iterator[int]:
        """Rows that stay, in order."""
        return (row for row in range(len(crawl)) if row not in self.of)

    def drops(self, crawl: Crawl) -> Iterator[Drop]:
        """One for every row that goes, in order."""
        for row in sorted(self.of):
            copy = self.of[row]
            yield Drop(crawl.urls[row], crawl.sources[row], copy.reason, crawl.urls[copy.keeper])

    def rows(self, crawl: Crawl) -> Iterator[dict[str, Any]]:
        """One JSON row for every page that goes, in order."""
        for row in sorted(self.of):
            yield _pair(crawl, row, self.of[row])

    def state(self, crawl: Crawl, examples: int) -> dict[str, Any]:
        """``duplicates`` of the record: counts, and near-duplicates from the least to the most similar."""
        ranked = sorted(
            (copy.jaccard, row) for row, copy in self.of.items() if copy.reason == NEAR_DUPLICATE and copy.jaccard
        )
        return {
            "proposed_pairs": self.proposed,
            "verified_pairs": self.verified,
            "groups": self.groups,
            "unmatched": self.unmatched,
            "pages": len(ranked),
            "examples": [_pair(crawl, row, self.of[row]) for _, row in _spread(ranked, examples)],
        }

    def save(self, crawl: Crawl, folder: Path) -> str:
        """Write the rows that go, by file of the crawl and counted within it; returns the folder."""
        import numpy as np

        folder.mkdir(exist_ok=True)
        gone = np.array(sorted(self.of), dtype=np.int64)
        for number, path in enumerate(crawl.files):
            rows = crawl.rows_of(number)
            inside = gone[(gone >= rows.start) & (gone < rows.stop)] - rows.start
            np.save(folder / f"{path.parent.name}.npy", inside)
        return str(folder)


def find_copies(
    crawl: Crawl,
    url_keys: Sequence[Path],
    signatures: Sequence[Path],
    config: MinHashConfig,
    memory_bytes: int,
    scratch: Path,
) -> Copies:
    """Rows with an address seen before, then near-duplicates among the others.

    Of one address the first page stays; of near-duplicates the longest, the first among equals.
    """
    import numpy as np

    from dsm_repro.corpus.dedup import cluster, duplicate_urls

    same = duplicate_urls(url_keys, memory_bytes)
    excluded = np.zeros(len(crawl), dtype=bool)
    excluded[same.rows] = True
    near = cluster(signatures, crawl.texts, crawl.tokens, config, memory_bytes, scratch, excluded)
    of = {
        row: Copy(keeper, DUPLICATE_URL, None)
        for row, keeper in zip(same.rows.tolist(), same.keepers.tolist(), strict=True)
    }
    matches = zip(near.rows.tolist(), near.keepers.tolist(), near.jaccard.tolist(), strict=True)
    of |= {row: Copy(keeper, NEAR_DUPLICATE, similarity) for row, keeper, similarity in matches}
    return Copies(of, near.proposed, near.verified, near.groups, near.unmatched)


def _pair(crawl: Crawl, row: int, copy: Copy) -> dict[str, Any]:
    return {
        "dropped": crawl.urls[row],
        "kept": crawl.urls[copy.keeper],
        "reason": copy.reason,
        "jaccard": copy.jaccard,
    }


def _spread(ranked: Sequence[Any], count: int) -> list[Any]:
    """``count`` items from the first to the last."""
    if len(ranked) <= count:
        return list(ranked)
    return [ranked[round(index * (len(ranked) - 1) / (count - 1))] for index in range(count)]
