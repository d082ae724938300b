"""Hashes of a text's tokens without making the tokens: numpy finds where they begin and hashes what is between.

Cutting a page with the regular expression of :mod:`dsm_repro.corpus.tokens` and hashing each piece costs far
more than signing it does. Here a token's hash is a polynomial modulo 2^64 of values drawn for its characters.
What a character is (blank, sign, digit, letter) is asked of ``tokenize`` itself when it is first met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.corpus.tokens import tokenize

if TYPE_CHECKING:
    import numpy as np

#: kinds of characters; ascii letters are apart because a TeX command consists of them
_UNKNOWN, _BLANK, _SIGN, _BACKSLASH, _APOSTROPHE, DIGIT, _LETTER, _ASCII_LETTER = range(8)
_SPECIAL = {"\\": _BACKSLASH, "'": _APOSTROPHE, "’": _APOSTROPHE}
_CODE_POINTS = 0x110000
#: odd, so that it has an inverse modulo 2^64
_BASE = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Tokens:
    """The tokens of some lower-cased text."""

    #: one per token, equal for equal tokens
    hashes: np.ndarray
    #: places of their first characters
    begins: np.ndarray
    #: code points and kinds of all characters
    codes: np.ndarray
    kinds: np.ndarray

    def signs(self) -> np.ndarray:
        """Which tokens are one sign by itself (Chinese characters are, too)."""
        return (self.kinds[self.begins] < DIGIT) & ~self.commands()

    def commands(self) -> np.ndarray:
        """Which tokens are a TeX command."""
        import numpy as np

        following = self.kinds[np.minimum(self.begins + 1, len(self.kinds) - 1)]
        return (self.kinds[self.begins] == _BACKSLASH) & (following == _ASCII_LETTER)


class TokenHasher:
    """Hashes texts; remembers the characters it has met, and the powers that the longest text so far needed.

    Args:
        seed: another one gives other hashes.
        alike: characters that count as another one.
    """

    def __init__(self, seed: int = 0, alike: Mapping[str, str] | None = None) -> None:
        import numpy as np

        self._seed = seed
        self._alike = {ord(one): ord(other) for one, other in (alike or {}).items()}

        self._kinds = np.full(_CODE_POINTS, _UNKNOWN, dtype=np.uint8)
        self._values = np.zeros(_CODE_POINTS, dtype=np.uint64)  # blanks keep 0
        self._powers = self._inverses = np.empty(0, dtype=np.uint64)

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Hashes (uint64) of all tokens in order, equal for equal tokens, and the number of tokens of each text."""
        import numpy as np

        lowered = [text.lower() for text in texts]
        # no token spans a blank
        tokens = self.tokens("\n".join(lowered))
        ends = np.searchsorted(tokens.begins, np.cumsum([len(text) + 1 for text in lowered]))
        return tokens.hashes, np.diff(ends, prepend=0)

    def tokens(self, lowered: str) -> Tokens:
        """The tokens of a text in lower case, in order."""
        import numpy as np

        codes = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        kinds = self._kinds_of(codes)
        begins = np.flatnonzero(_begins(kinds))
        # a token is followed by blanks, whose value is 0, or by the next token
        return Tokens(self._hash(codes, begins), begins, codes, kinds)

    def whole(self, strings: Sequence[str]) -> np.ndarray:
        """The hash of each string, taken as one token."""
        import numpy as np

        codes = np.frombuffer("".join(strings).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        self._kinds_of(codes)
        lengths = np.array([len(string) for string in strings], dtype=np.int64)
        return self._hash(codes, np.cumsum(lengths) - lengths)

    def _hash(self, codes: np.ndarray, begins: np.ndarray) -> np.ndarray:
        import numpy as np

        if not len(begins):
            return np.empty(0, dtype=np.uint64)
        self._grow(len(codes))
        terms = self._values[codes]
        terms *= self._powers[: len(codes)]
        hashes = np.add.reduceat(terms, begins)
        hashes *= self._inverses[begins]  # as if each token stood at the beginning
        return mix(hashes)

    def _kinds_of(self, codes: np.ndarray) -> np.ndarray:
        import numpy as np

        kinds = self._kinds[codes]
        if not kinds.all():  # some are _UNKNOWN
            for code in np.unique(codes[kinds == _UNKNOWN]).tolist():
                self._kinds[code] = _kind_of(chr(code))
                if self._kinds[code] != _BLANK:
                    number = self._alike.get(code, code) + 1 + self._seed * _CODE_POINTS
                    self._values[code] = mix(np.array([number], dtype=np.uint64))[0]
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
        return DIGIT
    return _ASCII_LETTER if character.isascii() else _LETTER


def _begins(kinds: np.ndarray) -> np.ndarray:
    """Where the tokens of a lower-cased text begin.

    Signs stand by themselves, digits and letters in runs. Two signs are joined to letters: the backslash of
    a TeX command and the apostrophe within a word.
    """
    import numpy as np

    begins = kinds != _BLANK
    letters, digits = kinds >= _LETTER, kinds == DIGIT
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
