"""Pages with one address: the first stays.

Addresses are compared by 64 bits of their hash. Among 10^9 of them the probability that any two different
ones share a hash is 10^18 / 2^65 = 0.027, and the expected number of pages lost to it is as small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.corpus.dedup.keys import SortedKeys, write_keys
from dsm_repro.corpus.url import dedup_key

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class UrlDuplicates:
    """``rows`` (int64, ascending) repeat the address of an earlier page, which is ``keepers`` at the same place."""

    rows: np.ndarray
    keepers: np.ndarray


def write_url_keys(urls: Iterable[str], out: Path) -> int:
    """Write the keys of a shard's cleaned URLs under ``out``; returns the number of URLs."""
    import numpy as np
    import xxhash

    hashes = (xxhash.xxh3_64_intdigest(dedup_key(url).encode("utf-8", "surrogatepass")) for url in urls)
    keys = np.fromiter(hashes, dtype=np.uint64)
    write_keys(keys.reshape(1, -1), out)
    return len(keys)


def duplicate_urls(shards: Sequence[Path], memory_bytes: int) -> UrlDuplicates:
    """Pages whose :func:`dsm_repro.corpus.url.dedup_key` an earlier page has; ``shards`` in row order.

    Memory: ``memory_bytes``, and 16 bytes for each page found.

    Raises:
        DataError: a shard without key files.
    """
    import numpy as np

    found = SortedKeys(shards)
    rows: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    keepers: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    for section in range(found.sections):
        for buckets in found.buckets(section, memory_bytes):
            first = np.repeat(buckets.rows[buckets.starts[:-1]], np.diff(buckets.starts))
            later = buckets.rows != first
            rows.append(buckets.rows[later])
            keepers.append(first[later])
    joined = np.concatenate(rows)
    order = np.argsort(joined)
    return UrlDuplicates(joined[order], np.concatenate(keepers)[order])
