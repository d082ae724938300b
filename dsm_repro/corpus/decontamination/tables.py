"""Exact look-up of n-grams of one length, for all places of a page at once.

Every gram of the benchmarks has a number and a hash; a place is looked up by a 64-bit polynomial in the hashes of
the grams that follow it. It only proposes: every hit is compared gram by gram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]
    Hashes = NDArray[np.uint64]

#: odd, so that multiplication by it is invertible modulo 2^64
_BASE = np.uint64(0x9E3779B97F4A7C15)
#: slots of the filter for each n-gram: of a page without hits at most one place in that many is looked up in vain
_SLOTS = 16
#: 32 MB
_MOST_FILTER_BITS = 25


@dataclass(frozen=True)
class Table:
    """The distinct n-grams of one length. N-gram ``k`` has the hash ``keys[k]``, begins at ``firsts[k]`` of ``codes``,
    the texts one after another, and stands in the texts ``items[starts[k]:starts[k + 1]]``."""

    length: int
    codes: Codes
    keys: Hashes
    firsts: Codes
    starts: Codes
    items: Codes
    #: true at the leading bits of every key
    filter: NDArray[np.bool_]
    shift: np.uint64

    @classmethod
    def of(cls, length: int, codes: Codes, places: Codes, items: Codes, mix: Hashes) -> Table | None:
        """From the n-grams that begin at ``places`` and stand in the texts ``items``; None if two have one hash.

        ``mix`` is the hash of every gram.
        """
        hashes = np.zeros(len(places), dtype=np.uint64)
        for shift in range(length):
            hashes = hashes * _BASE + mix[codes[places + shift]]
        order = np.argsort(hashes, kind="stable")
        hashes, places, items = hashes[order], places[order], items[order]
        new = np.concatenate(([True], hashes[1:] != hashes[:-1]))
        number = np.cumsum(new) - 1
        keys, firsts = hashes[new], places[new]
        for shift in range(length):
            if not np.array_equal(codes[firsts[number] + shift], codes[places + shift]):
                return None
        width = int(items.max()) + 1
        pairs = np.unique(number * width + items)
        starts = np.searchsorted(pairs, np.arange(len(keys) + 1) * width)
        bits = min(_MOST_FILTER_BITS, max(10, int(_SLOTS * len(keys)).bit_length()))
        filter_shift = np.uint64(64 - bits)
        slots = np.zeros(1 << bits, dtype=np.bool_)
        slots[keys >> filter_shift] = True
        return cls(length, codes, keys, firsts, starts, pairs % width, slots, filter_shift)

    def propose(self, hashes: Hashes) -> tuple[Codes, Codes]:
        """Places of a page, and n-grams that have their hash; ``hashes`` are those of all its places."""
        places = np.flatnonzero(self.filter[hashes >> self.shift])
        if not len(places):
            return places, places
        found = np.searchsorted(self.keys, hashes[places])
        found[found == len(self.keys)] = 0
        same = self.keys[found] == hashes[places]
        return places[same], found[same]

    def find(self, hashes: Hashes, page: Codes) -> tuple[Codes, Codes]:
        """Places of a page, given as codes, where an n-gram of the table begins, and which."""
        places, found = self.propose(hashes)
        for shift in range(self.length):
            same = page[places + shift] == self.codes[self.firsts[found] + shift]
            places, found = places[same], found[same]
        return places, found

    def items_of(self, ngram: int) -> list[int]:
        """The texts that hold an n-gram, ascending."""
        found: list[int] = self.items[self.starts[ngram] : self.starts[ngram + 1]].tolist()
        return found


def rolling(hashes: Hashes, lengths: Sequence[int]) -> dict[int, Hashes]:
    """For each of the ascending ``lengths`` the hashes of all windows of a page, as a table has them.

    ``hashes`` are those of the page's grams.
    """
    found: dict[int, Hashes] = {}
    total, done = hashes, 1
    for length in lengths:
        if length > len(hashes):
            break
        for _ in range(done, length):
            total = total[:-1] * _BASE + hashes[done:]
            done += 1
        found[length] = total
    return found
