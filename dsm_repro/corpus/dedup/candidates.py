"""Which pages of a bucket are compared, so that a bucket of n pages costs O(n) comparisons and not O(n²)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.errors import DataError
from dsm_repro.corpus.dedup.keys import Buckets
from dsm_repro.corpus.dedup.sets import ShingleSets

if TYPE_CHECKING:
    import numpy as np

#: A bucket of up to this many pages has all its pairs compared. In a larger one each page is compared with
#: at most this many representatives.
REPRESENTATIVES = 32
#: a pair is one number: the first row in its upper half
MOST_ROWS = 1 << 32


def split(buckets: Buckets) -> tuple[Buckets, Buckets]:
    """The buckets with up to ``REPRESENTATIVES`` pages, and the larger ones."""
    import numpy as np

    sizes = np.diff(buckets.starts)
    small = sizes <= REPRESENTATIVES
    member = np.repeat(small, sizes)
    halves = ((buckets.rows[member], sizes[small]), (buckets.rows[~member], sizes[~small]))
    first, second = (Buckets(rows, np.concatenate(([0], np.cumsum(chosen)))) for rows, chosen in halves)
    return first, second


def all_pairs(buckets: Buckets) -> np.ndarray:
    """All pairs within each bucket as numbers (uint64)."""
    import numpy as np

    sizes = np.diff(buckets.starts)
    ends = np.repeat(buckets.starts[1:], sizes)
    places = np.arange(len(buckets.rows))
    found = [np.empty(0, dtype=np.uint64)]
    for apart in range(1, int(sizes.max(initial=0))):
        first = places[places + apart < ends]
        found.append(join(buckets.rows[first], buckets.rows[first + apart]))
    return np.concatenate(found)


def join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs of rows as numbers (uint64), ordered by the first row and then by the second.

    Raises:
        DataError: a row that has no room in half a number.
    """
    import numpy as np

    if len(first) and max(first.max(), second.max()) >= MOST_ROWS:
        raise DataError(f"{MOST_ROWS} pages are the most that can be compared with one another. Cut the crawl up.")
    return (first.astype(np.uint64) << np.uint64(32)) | second.astype(np.uint64)


def part(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two rows of each pair, int64."""
    import numpy as np

    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(MOST_ROWS - 1)).astype(np.int64)


class LargeBuckets:
    """Buckets kept in a file until the pages' shingles are at hand."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sizes: list[int] = []
        path.write_bytes(b"")

    def add(self, buckets: Buckets) -> None:
        """Add some buckets."""
        import numpy as np

        self._sizes += np.diff(buckets.starts).tolist()
        with self._path.open("ab") as file:
            buckets.rows.tofile(file)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The rows of each bucket."""
        import numpy as np

        with self._path.open("rb") as file:
            for size in self._sizes:
                yield np.fromfile(file, dtype=np.int64, count=size)


def compared_pairs(rows: np.ndarray, sets: ShingleSets, least: float) -> tuple[np.ndarray, int]:
    """The pairs to compare in a large bucket, and how many of its pages are similar to no representative.

    A page whose shingles equal those of an earlier page is paired with that page alone. The others, if they
    are more than ``REPRESENTATIVES``, are taken in order of their rows: the first is a representative, and
    every later one is paired with it; those with a Jaccard similarity of at least ``least`` are settled, and
    of the rest the first is the next representative, until there are ``REPRESENTATIVES``.
    """
    import numpy as np

    positions = sets.positions(rows)
    _, earliest, same = np.unique(sets.digests[positions], return_index=True, return_inverse=True)
    like = earliest[same]
    copies = like != np.arange(len(rows))
    found = [join(rows[like[copies]], rows[copies])]
    rest = np.flatnonzero(~copies)
    if len(rest) <= REPRESENTATIVES:
        found.append(all_pairs(Buckets(rows[rest], np.array([0, len(rest)]))))
        return np.concatenate(found), 0
    for _ in range(REPRESENTATIVES):
        leader, rest = rest[:1].repeat(max(len(rest) - 1, 0)), rest[1:]
        found.append(join(rows[leader], rows[rest]))
        rest = rest[sets.similarities(positions[leader], positions[rest], least) < least]
    return np.concatenate(found), len(rest)
