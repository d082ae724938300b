"""Hashes of all grams of a page by array operations, several times faster than making the grams.

Most grams are tokens (:mod:`dsm_repro.corpus.token_hashes`). What decontamination reads otherwise is asked of
``grams``: once for each sign, and for each TeX command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsm_repro.corpus.token_hashes import TokenHasher
from dsm_repro.corpus.tokens import grams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsm_repro.corpus.decontamination.tables import Hashes

_CODE_POINTS = 0x110000
_UNKNOWN, _LAYOUT, _GRAM = range(3)
#: commands remembered at once; a hostile page may invent them
_MOST_COMMANDS = 10_000


class Scanner:
    """Equal grams have equal hashes; different ones almost always different ones."""

    def __init__(self, seed: int) -> None:
        """Another ``seed`` gives other hashes: for the case that two n-grams have one."""
        self._hasher = TokenHasher(seed, alike={"’": "'"})
        self._signs = np.full(_CODE_POINTS, _UNKNOWN, dtype=np.uint8)
        self._sign_hashes = np.zeros(_CODE_POINTS, dtype=np.uint64)
        #: None for a command that is layout
        self._commands: dict[str, int | None] = {}

    def hash_grams(self, found: Sequence[str]) -> Hashes:
        """The hash of each gram."""
        return self._hasher.whole(found)

    def hashes(self, text: str) -> Hashes:
        """The hashes of the grams of a text, in order."""
        lowered = text.lower()
        tokens = self._hasher.tokens(lowered)
        hashes, kept = tokens.hashes, np.ones(len(tokens.hashes), dtype=np.bool_)
        signs = np.flatnonzero(tokens.signs())
        codes = tokens.codes[tokens.begins[signs]]
        self._learn(codes)
        hashes[signs], kept[signs] = self._sign_hashes[codes], self._signs[codes] == _GRAM
        for number in np.flatnonzero(tokens.commands()).tolist() if "\\" in lowered else ():
            begin = int(tokens.begins[number])
            end = begin + 2
            while end < len(lowered) and "a" <= lowered[end] <= "z":
                end += 1
            value = self._command(lowered[begin:end])
            if value is None:
                kept[number] = False
            else:
                hashes[number] = value
        found: Hashes = hashes[kept]
        return found

    def _learn(self, codes: np.ndarray) -> None:
        for code in np.unique(codes[self._signs[codes] == _UNKNOWN]).tolist():
            found = grams(chr(code))
            self._signs[code] = _GRAM if found else _LAYOUT
            if found:
                self._sign_hashes[code] = self.hash_grams(found)[0]

    def _command(self, token: str) -> int | None:
        if token not in self._commands:
            if len(self._commands) >= _MOST_COMMANDS:
                self._commands.clear()
            found = grams(token)
            self._commands[token] = int(self.hash_grams(found)[0]) if found else None
        return self._commands[token]
