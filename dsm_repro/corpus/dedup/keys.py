"""64-bit keys of pages in sorted files: each shard writes its own, and equal keys meet in bounded memory.

A shard's folder has ``keys.npy`` (uint64) and ``rows.npy`` (uint32), both of shape (sections, pages): in each
section the keys ascend, equal ones by row, and ``rows`` says which page of the shard has the key.
A section is a MinHash band; URLs have one section.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_KEYS, _ROWS = "keys.npy", "rows.npy"
#: what an entry takes while a block is merged: key, row, sorting order, and copies of them
_BYTES_PER_ENTRY = 64


def write_keys(keys: np.ndarray, out: Path) -> None:
    """Sort and write a shard's keys, shape (sections, pages), uint64."""
    import numpy as np

    rows = np.empty(keys.shape, dtype=np.uint32)
    ordered = np.empty(keys.shape, dtype=np.uint64)
    for section in range(len(keys)):
        order = np.argsort(keys[section], kind="stable")
        rows[section] = order
        ordered[section] = keys[section][order]
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / _KEYS, ordered)
    np.save(out / _ROWS, rows)


@dataclass(frozen=True)
class Buckets:
    """Rows that share a key: bucket i is ``rows[starts[i]:starts[i + 1]]`` (int64, ascending, at least two)."""

    rows: np.ndarray
    starts: np.ndarray


class SortedKeys:
    """The key files of all shards. A page's row counts through the shards in order.

    Raises:
        DataError: a shard without key files, or with another number of sections than the first.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self.shards = tuple(shards)
        self.starts = [0]
        self.sections = 0
        for place in self.shards:
            sections, pages = _load(place / _KEYS).shape
            if place != self.shards[0] and sections != self.sections:
                raise DataError(
                    f"{place / _KEYS}: {sections} sections, but {self.shards[0] / _KEYS} has {self.sections}. "
                    "Delete both: they were written with different settings."
                )
            self.sections = sections
            self.starts.append(self.starts[-1] + pages)

    def __len__(self) -> int:
        return self.starts[-1]

    def buckets(self, section: int, memory_bytes: int, excluded: np.ndarray | None = None) -> Iterator[Buckets]:
        """All buckets of a section, by ascending key, in blocks that take about ``memory_bytes``.

        The range of keys is cut evenly, which suits hashes. A bucket is never split, so a block takes more
        memory where a single bucket does (64 bytes for each of its pages). Rows with ``excluded[row]`` are
        left out.
        """
        import numpy as np

        parts = -(-len(self) * _BYTES_PER_ENTRY // memory_bytes)
        bounds = [part * 2**64 // parts for part in range(1, parts)]
        for low, high in zip([0, *bounds], [*bounds, None], strict=True):
            keys, rows = self._range(section, low, high)
            if excluded is not None:
                kept = ~excluded[rows]
                keys, rows = keys[kept], rows[kept]
            order = np.argsort(keys, kind="stable")  # rows ascend from shard to shard, so they do within a key
            found = _repeated(keys[order], rows[order])
            if len(found.rows):
                yield found

    def _range(self, section: int, low: int, high: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Keys in [low, high) and their rows, shard after shard."""
        import numpy as np

        keys: list[np.ndarray] = [np.empty(0, dtype=np.uint64)]
        rows: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
        for place, start in zip(self.shards, self.starts, strict=False):
            # opened for each block: thousands of shards would exhaust the mappings of a process
            column = _load(place / _KEYS)[section]
            first = np.searchsorted(column, np.uint64(low))
            last = len(column) if high is None else np.searchsorted(column, np.uint64(high))
            keys.append(np.array(column[first:last]))
            rows.append(_load(place / _ROWS)[section, first:last].astype(np.int64) + start)
        return np.concatenate(keys), np.concatenate(rows)


def _repeated(keys: np.ndarray, rows: np.ndarray) -> Buckets:
    """The buckets among sorted keys."""
    import numpy as np

    begins = np.flatnonzero(np.concatenate((np.ones(min(len(keys), 1), dtype=bool), keys[1:] != keys[:-1])))
    sizes = np.diff(begins, append=len(keys))
    starts = np.zeros(np.count_nonzero(sizes > 1) + 1, dtype=np.int64)
    np.cumsum(sizes[sizes > 1], out=starts[1:])
    return Buckets(rows[np.repeat(sizes > 1, sizes)], starts)


def _load(path: Path) -> np.ndarray:
    import numpy as np

    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}. Delete its folder: the shard is then written again.") from error
