"""Groups of rows that are connected by pairs, and the row of each group that is kept."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class DisjointSets:
    """Union-find over the numbers below ``size``, 8 bytes each. The least number of a set is its root."""

    def __init__(self, size: int) -> None:
        self._parent = array("q", range(size))

    def root(self, item: int) -> int:
        """The least number in the set of ``item``."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Make one set of the sets of both numbers of each pair."""
        for first, second in pairs:
            one, other = self.root(first), self.root(second)
            if one != other:
                self._parent[max(one, other)] = min(one, other)

    def roots(self) -> np.ndarray:
        """The root of every number, int64."""
        import numpy as np

        for item in range(len(self._parent)):  # a root is less than its item, so its own root is known by then
            self._parent[item] = self._parent[self._parent[item]]
        return np.array(self._parent, dtype=np.int64)


def keepers(roots: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """For each number the one of its set with the highest priority, the least among equals."""
    import numpy as np

    order = np.lexsort((np.arange(len(roots)), -priority, roots))
    ordered = roots[order]
    begins = np.concatenate((np.ones(min(len(order), 1), dtype=bool), ordered[1:] != ordered[:-1]))
    best = np.empty(len(roots), dtype=np.int64)
    best[order] = order[begins][np.cumsum(begins) - 1]
    return best
