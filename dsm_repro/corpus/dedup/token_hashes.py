"""Hashes of a text's tokens without making the tokens: numpy finds where they begin and hashes what is between.

Cutting a page with the regular expression of :mod:`dsm_repro.corpus.tokens` and hashing each piece costs far
more than signing it does. Here a token's hash is a polynomial modulo 2^64 of values drawn for its characters.
What a character is (blank, sign, digit, letter) is asked of ``tokenize`` itself when it is first met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsm_repro.corpus.tokens import tokenize

if TYPE_CHECKING:
    import numpy as np

#: kinds of characters; ascii letters are apart because a TeX command consists of them
_UNKNOWN, _BLANK, _SIGN, _BACKSLASH, _APOSTROPHE, _DIGIT, _LETTER, _ASCII_LETTER = range(8)
_SPECIAL = {"\\": _BACKSLASH, "'": _APOSTROPHE, "’": _APOSTROPHE}
_CODE_POINTS = 0x110000
#: odd, so that it has an inverse modulo 2^64
_BASE = 0x9E3779B97F4A7C15


class TokenHasher:
    """Hashes texts; remembers the characters it has met, and the powers that the longest text so far needed."""

    def __init__(self) -> None:
        import numpy as np

        self._kinds = np.full(_CODE_POINTS, _UNKNOWN, dtype=np.uint8)
        self._values = np.zeros(_CODE_POINTS, dtype=np.uint64)  # blanks keep 0
        self._powers = self._inverses = np.empty(0, dtype=np.uint64)

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Hashes (uint64) of all tokens in order, equal for equal tokens, and the number of tokens of each text."""
        import numpy as np

        lowered = [text.lower() for text in texts]
        # no token spans a blank
        codes = np.frombuffer("\n".join(lowered).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        begins = np.flatnonzero(_begins(self._kinds_of(codes)))
        ends = np.searchsorted(begins, np.cumsum([len(text) + 1 for text in lowered]))
        counts = np.diff(ends, prepend=0)
        if not len(begins):
            return np.empty(0, dtype=np.uint64), counts
        self._grow(len(codes))
        terms = self._values[codes]
        terms *= self._powers[: len(codes)]
        hashes = np.add.reduceat(terms, begins)  # a token is followed by blanks or by the next token
        hashes *= self._inverses[begins]  # as if each token stood at the beginning
        return mix(hashes), counts

    def _kinds_of(self, codes: np.ndarray) -> np.ndarray:
        import numpy as np

        kinds = self._kinds[codes]
        if not kinds.all():  # some are _UNKNOWN
            for code in np.unique(codes[kinds == _UNKNOWN]).tolist():
                self._kinds[code] = _kind_of(chr(code))
                if self._kinds[code] != _BLANK:
                    self._values[code] = mix(np.array([code + 1], dtype=np.uint64))[0]
            kinds = self._kinds[codes]
        return kinds

    def _grow(self, length: int) -> None:
        import numpy as np

        if length > len(self._powers):
            size = max(length, 2 * len(self._powers))
            factors = np.ones((2, size), dtype=np.uint64)
            factors[:, 1:] = [[_BASE], [pow(_BASE, -1, 1 << 64)]]
            self._powers, self._inverses = np.multiply.accumulate(factors, axis=1)


def mix(numbers: np.ndarray) -> np.ndarray:
    """MurmurHash3's finalizer: a bijection after which every bit depends on all. Changes and returns its argument."""
    import numpy as np

    shift = np.uint64(33)
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        numbers ^= numbers >> shift
        numbers *= np.uint64(multiplier)
    numbers ^= numbers >> shift
    return numbers


def _kind_of(character: str) -> int:
    if not tokenize(character):
        return _BLANK
    if len(tokenize(character * 2)) > 1:
        return _SPECIAL.get(character, _SIGN)
    if len(tokenize(f"{character}1")) == 1:
        return _DIGIT
    return _ASCII_LETTER if character.isascii() else _LETTER


def _begins(kinds: np.ndarray) -> np.ndarray:
    """Where the tokens of a lower-cased text begin.

    Signs stand by themselves, digits and letters in runs. Two signs are joined to letters: the backslash of
    a TeX command and the apostrophe within a word.
    """
    import numpy as np

    begins = kinds != _BLANK
    letters, digits = kinds >= _LETTER, kinds == _DIGIT
    begins[1:] &= ~((letters[1:] & letters[:-1]) | (digits[1:] & digits[:-1]))
    # a command ends with its ascii letters: neither another letter nor an apostrophe goes on with it
    closed = np.zeros(len(kinds) + 1, dtype=bool)
    commands = np.flatnonzero((kinds[:-1] == _BACKSLASH) & (kinds[1:] == _ASCII_LETTER)) + 1
    if len(commands):
        begins[commands] = False
        others = np.append(np.flatnonzero(kinds != _ASCII_LETTER), len(kinds))
        closed[others[np.searchsorted(others, commands)]] = True
        begins |= closed[:-1] & letters
    inner = np.flatnonzero((kinds[1:-1] == _APOSTROPHE) & letters[:-2] & letters[2:]) + 1
    inner = inner[~closed[inner]]
    begins[inner] = False
    begins[inner + 1] = False
    return begins
