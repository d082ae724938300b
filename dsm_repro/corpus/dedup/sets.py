"""Shingle sets of the pages that have to be compared, in a file: exact similarity of any two of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dsm_repro.corpus.dedup.shingles import Shingler, jaccard

if TYPE_CHECKING:
    import numpy as np

#: texts of these rows (ascending), in their order
Texts = Callable[[Sequence[int]], list[str]]

#: texts asked for at once
_TEXTS = 512


class ShingleSets:
    """The sets of some rows, named by their position among them. A context manager: it holds a file open.

    Each text is fetched once. Sets take 8 bytes a shingle on disk, and a page 24 bytes in memory.
    """

    def __init__(self, rows: np.ndarray, texts: Texts, ngram: int, path: Path) -> None:
        import numpy as np
        import xxhash

        self.rows = rows
        #: number of shingles, and a hash of all of them, of each page
        self.sizes = np.zeros(len(rows), dtype=np.int64)
        self.digests = np.zeros(len(rows), dtype=np.uint64)
        shingler = Shingler(ngram)
        with path.open("wb") as file:
            for start in range(0, len(rows), _TEXTS):
                asked = rows[start : start + _TEXTS].tolist()
                for position, found in enumerate(shingler.sets(texts(asked)), start):
                    self.sizes[position] = len(found)
                    self.digests[position] = xxhash.xxh3_64_intdigest(found.data)
                    file.write(found.data)
        self._offsets = np.cumsum(self.sizes) - self.sizes
        self._file = os.open(path, os.O_RDONLY)

    def __enter__(self) -> ShingleSets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._file)

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Where these rows stand among the rows of this object."""
        import numpy as np

        return np.searchsorted(self.rows, rows)

    def read(self, position: int) -> np.ndarray:
        """One page's shingles: sorted, each once, uint64."""
        import numpy as np

        data = os.pread(self._file, int(self.sizes[position]) * 8, int(self._offsets[position]) * 8)
        return np.frombuffer(data, dtype=np.uint64)

    def similarities(self, first: np.ndarray, second: np.ndarray, least: float = 0.0) -> np.ndarray:
        """Exact Jaccard similarity of pairs of positions; 0 where the sizes alone keep it below ``least``.

        Sets with one digest are taken to be equal: 64 bits tell any two apart but with probability 2^-64.
        """
        import numpy as np

        found = (self.digests[first] == self.digests[second]).astype(np.float64)
        small, large = (choose(self.sizes[first], self.sizes[second]) for choose in (np.minimum, np.maximum))
        held, anchor = -1, np.empty(0, dtype=np.uint64)
        for pair in np.flatnonzero((found == 0) & (small >= least * large)).tolist():
            if first[pair] != held:
                held = first[pair]
                anchor = self.read(held)
            found[pair] = jaccard(anchor, self.read(int(second[pair])))
        return found
