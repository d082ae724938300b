"""Hashes of all grams of a page by array operations, several times faster than making the grams.

The rules are those of :mod:`dsm_repro.corpus.tokens` and are asked of it character by character, so they are
not written twice. Pages that need more than that (see :meth:`Scanner.hashes`) are left to the slow way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from dsm_repro.corpus.tokens import grams, tokenize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsm_repro.corpus.decontamination.tables import Hashes

#: what a character does: separate, stand in a word, in a number, for itself, join two halves of a word, begin a
#: TeX command; or something that the arrays do not know
DROPPED, APOSTROPHE, BACKSLASH, WORD, DIGIT, SINGLE, OTHER = range(7)
#: from here on a character is part of a gram
INSIDE = WORD
_PLANE = 1 << 16
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_SURROGATES = range(0xD800, 0xE000)
#: odd, so that it has an inverse modulo 2^64
_BASE = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Scanner:
    """``values``: character -> pseudo-random number. The hash of a gram is Σ value · _BASE^place."""

    kinds: NDArray[np.uint8]
    values: Hashes

    @classmethod
    def of(cls, attempt: int) -> Scanner:
        """Another ``attempt`` has other numbers: for the case that two n-grams have one hash."""
        kinds, folded = _characters()
        return cls(kinds, _random(_PLANE, attempt)[folded])

    def hash_grams(self, found: Sequence[str]) -> Hashes:
        """The hash of each gram."""
        points = [np.frombuffer(gram.encode("utf-16-le", "surrogatepass"), np.uint16) for gram in found]
        if not points:
            return np.zeros(0, np.uint64)
        lengths = np.array([len(item) for item in points])
        return self._hash(self.values[np.concatenate(points)], np.cumsum(lengths) - lengths)

    def _hash(self, values: Hashes, starts: NDArray[np.int64]) -> Hashes:
        """Of the characters from each start to the next: a difference of prefix sums, divided by the start's power."""
        powers, inverses = _powers(max(12, len(values).bit_length()))
        sums = np.cumsum(values * powers[: len(values)])
        # the sum up to each start
        before = sums[starts - 1]
        before[0] = 0
        hashes: Hashes = (np.append(before[1:], sums[-1]) - before) * inverses[starts]
        return hashes

    def hashes(self, lowered: str, command: Callable[[str], int | None]) -> Hashes | None:
        """The hashes of the grams of a lower-cased text, in order.

        ``command`` gives that of a TeX command, or None where the command is layout. The answer is None for
        a text with letters beyond the basic plane, and for a command with an apostrophe or a foreign letter
        at its end.
        """
        if not lowered.isascii() and (beyond := _BEYOND.findall(lowered)) and grams("".join(beyond)):
            return None
        points = np.frombuffer(lowered.encode("utf-16-le", "surrogatepass"), np.uint16)
        kinds = self.kinds[points]
        if not len(kinds) or kinds.max() == OTHER:
            return np.zeros(0, np.uint64) if not len(kinds) else None
        joints = np.flatnonzero(kinds == APOSTROPHE)
        joints = joints[(joints > 0) & (joints < len(points) - 1)]
        kinds[joints[(kinds[joints - 1] == WORD) & (kinds[joints + 1] == WORD)]] = WORD
        starts = np.empty(len(kinds), dtype=np.bool_)
        starts[0] = True
        np.not_equal(kinds[1:], kinds[:-1], out=starts[1:])
        starts |= kinds == SINGLE
        commands = "\\" in lowered and self._join_commands(points, kinds, starts)
        places = np.flatnonzero(kinds >= INSIDE)
        if not len(places):
            return np.zeros(0, np.uint64)
        firsts = np.flatnonzero(starts[places])
        found = points[places]
        hashes = self._hash(self.values[found], firsts)
        return self._with_commands(hashes, lowered, places, firsts, found == ord("\\"), command) if commands else hashes

    def _join_commands(self, points: NDArray[np.uint16], kinds: NDArray[np.uint8], starts: NDArray[np.bool_]) -> bool:
        """Mark, in place, a backslash before a letter as the start of a gram that holds the letters; true if any."""
        slashes = np.flatnonzero(kinds == BACKSLASH)
        slashes = slashes[slashes < len(points) - 1]
        after = points[slashes + 1]
        slashes = slashes[(after >= ord("a")) & (after <= ord("z"))]
        kinds[slashes], starts[slashes], starts[slashes + 1] = SINGLE, True, False
        return bool(len(slashes))

    def _with_commands(
        self,
        hashes: Hashes,
        lowered: str,
        places: NDArray[np.int64],
        firsts: NDArray[np.int64],
        slashes: NDArray[np.bool_],
        command: Callable[[str], int | None],
    ) -> Hashes | None:
        """Commands are looked up one by one: some are operators and some are layout."""
        if not lowered.isascii() and _BEYOND.search(lowered):
            return None  # places are not places in the text
        kept = np.ones(len(hashes), dtype=np.bool_)
        # where the next gram begins among the characters inside grams
        following = np.append(firsts[1:], len(places))
        for number in np.flatnonzero(slashes[firsts]).tolist():
            begin, end = int(places[firsts[number]]), int(places[following[number] - 1])
            token = lowered[begin : end + 1]
            if not (token.isascii() and token[1:].isalpha()):
                return None
            value = command(token)
            if value is None:
                kept[number] = False
            else:
                hashes[number] = value
        found: Hashes = hashes[kept]
        return found


@lru_cache(maxsize=16)
def _powers(bits: int) -> tuple[Hashes, Hashes]:
    """The powers 0, 1, ... of _BASE modulo 2^64, 2^bits of them, and their inverses."""
    bases = (int(_BASE), pow(int(_BASE), -1, 1 << 64))
    powers = [np.full(1 << bits, base, dtype=np.uint64) for base in bases]
    for power in powers:
        power[0] = 1
        np.multiply.accumulate(power, out=power)
    return powers[0], powers[1]


@lru_cache(maxsize=1)
def _characters() -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The kind of every character of the basic plane, and the character that it counts as."""
    kinds = np.zeros(_PLANE, np.uint8)
    folded = np.arange(_PLANE, dtype=np.uint16)
    for point in range(_PLANE):
        # a pair of surrogates is a character beyond the plane: here only those that are no gram
        if point not in _SURROGATES:
            kinds[point], folded[point] = _character(chr(point))
    return kinds, folded


def _character(character: str) -> tuple[int, int]:
    same = ord(character)
    if character.isspace():
        return DROPPED, same
    if character.lower() != character:  # not in a text in lower case
        return OTHER, same
    found = grams(character)
    if not found:
        if len(tokenize(f"a{character}a")) == 1:
            return APOSTROPHE, ord(grams(f"a{character}a")[0][1])
        return (BACKSLASH if len(tokenize(f"{character}a")) == 1 else DROPPED), same
    if len(found[0]) != 1:
        return OTHER, same
    if len(tokenize(character * 2)) == 2:
        return SINGLE, ord(found[0])
    return (DIGIT if len(tokenize(f"0{character}")) == 1 else WORD), ord(found[0])


def _random(size: int, seed: int) -> Hashes:
    """Pseudo-random 64-bit numbers (splitmix64)."""
    x = np.arange(size, dtype=np.uint64) + np.uint64(seed + 1) * np.uint64(0x632BE59BD9B4E019)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = x ^ (x >> np.uint64(31))
    return mixed
