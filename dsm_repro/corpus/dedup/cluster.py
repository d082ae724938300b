"""Near-duplicates of a whole crawl: bands propose pairs, exact similarity decides, groups keep one page each.

With 14 bands of 8 rows a pair of similarity s meets in some band with probability 1-(1-s^8)^14: 0.92 at
s=0.8, 0.9996 at 0.9, 0.05 at 0.5.

**What is a duplicate.** Two pages are similar when the exact Jaccard similarity of their shingle sets is at
least ``jaccard``. A group is what similar pages connect: if A~B and B~C, then A, B and C are one group although
A and C may differ more. Of each group one page stays.

**Which pairs are compared.** All pairs that share a bucket of up to ``REPRESENTATIVES`` (32) pages. In a larger
bucket (a boilerplate text on thousands of addresses) pages with equal shingles are compared with the first of
them, and the rest with at most 32 representatives, each of which is similar to no earlier one
(:func:`dsm_repro.corpus.dedup.candidates.compared_pairs`). So n pages cost at most 32·n comparisons per band.
What this can miss: a pair whose every common bucket is large, when neither page, nor a page connected to it,
is a representative of one. ``unmatched`` counts the pages that a large bucket left without a representative.

The result depends on the texts, the priorities and the configuration; not on the cut into shards, not on
``memory_bytes``, not on the order of the bands.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.corpus_schema import MinHashConfig
from dsm_repro.corpus.dedup.candidates import LargeBuckets, all_pairs, compared_pairs, part, split
from dsm_repro.corpus.dedup.groups import DisjointSets, keepers
from dsm_repro.corpus.dedup.keys import SortedKeys
from dsm_repro.corpus.dedup.sets import ShingleSets, Texts
from dsm_repro.corpus.dedup.spill import Spill

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Duplicates:
    """``rows`` (int64, ascending) leave; ``keepers`` stand for them, ``jaccard`` is their exact similarity.

    In a group that hangs together by pages between them, ``jaccard`` can lie below the threshold.
    """

    rows: np.ndarray
    keepers: np.ndarray
    jaccard: np.ndarray
    #: different pairs that were compared, and those among them that are similar
    proposed: int
    verified: int
    groups: int
    #: pages, counted once per large bucket, that were similar to none of its representatives
    unmatched: int


def cluster(
    shards: Sequence[Path],
    texts: Texts,
    priority: Sequence[int] | np.ndarray,
    config: MinHashConfig,
    memory_bytes: int,
    scratch: Path,
    excluded: np.ndarray | None = None,
) -> Duplicates:
    """Group the near-duplicates of all pages and keep the one of highest ``priority``, the earliest among equals.

    Args:
        shards: folders that :func:`write_signatures` wrote, in row order.
        texts: texts of some rows (ascending) in their order. Each row that shares a bucket is asked for once.
        priority: by row.
        memory_bytes: what buckets and pairs may take. On top of it come one byte a page, about 80 bytes for
            each page that shares a bucket, and the largest single bucket (64 bytes a page).
        scratch: folder for temporary files: 8 bytes a shingle of each page that shares a bucket.
        excluded: by row, True for pages that are gone already (their address is an earlier page's).

    Raises:
        DataError: a shard without key files; more than 2^32 pages.
        ValueError: ``priority`` or ``excluded`` is not of the shards' length.
    """
    import numpy as np

    keys = SortedKeys(shards)
    for name, column in (("priority", priority), ("excluded", excluded)):
        if column is not None and len(column) != len(keys):
            raise ValueError(f"{name} has {len(column)} rows, the signatures have {len(keys)}")
    with _emptied(scratch / "near_duplicates") as folder:
        pairs, large = Spill(folder, memory_bytes), LargeBuckets(folder / "large.bin")
        shared = np.zeros(len(keys), dtype=bool)
        for band in range(keys.sections):
            for buckets in keys.buckets(band, memory_bytes, excluded):
                shared[buckets.rows] = True
                few, many = split(buckets)
                pairs.add(all_pairs(few))
                large.add(many)
        with ShingleSets(np.flatnonzero(shared), texts, config.ngram, folder / "shingles.bin") as sets:
            del shared
            unmatched = 0
            for rows in large:
                found, left = compared_pairs(rows, sets, config.jaccard)
                pairs.add(found)
                unmatched += left
            proposed, verified, groups = _verify(pairs, sets, config.jaccard)
            return _result(groups.roots(), sets, priority, proposed, verified, unmatched)


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """The folder, without what a killed run left in it; removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _verify(pairs: Spill, sets: ShingleSets, least: float) -> tuple[int, int, DisjointSets]:
    """Numbers of pairs and of similar pairs, and the positions that similar pairs connect."""
    groups = DisjointSets(len(sets.rows))
    proposed = verified = 0
    for block in pairs.blocks():
        first, second = (sets.positions(rows) for rows in part(block))
        similar = sets.similarities(first, second, least) >= least
        groups.join(zip(first[similar].tolist(), second[similar].tolist(), strict=True))
        proposed += len(block)
        verified += int(similar.sum())
    return proposed, verified, groups


def _result(
    roots: np.ndarray,
    sets: ShingleSets,
    priority: Sequence[int] | np.ndarray,
    proposed: int,
    verified: int,
    unmatched: int,
) -> Duplicates:
    import numpy as np

    ranks = np.array([priority[row] for row in sets.rows.tolist()], dtype=np.int64)
    kept = keepers(roots, ranks)
    dropped = np.flatnonzero(kept != np.arange(len(kept)))
    return Duplicates(
        rows=sets.rows[dropped],
        keepers=sets.rows[kept[dropped]],
        jaccard=sets.similarities(kept[dropped], dropped),
        proposed=proposed,
        verified=verified,
        groups=len(np.unique(kept[dropped])),
        unmatched=unmatched,
    )
