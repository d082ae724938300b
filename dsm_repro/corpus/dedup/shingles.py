"""Shingles: 64-bit hashes of all runs of n maths-preserving tokens of a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dsm_repro.corpus.token_hashes import TokenHasher, mix

if TYPE_CHECKING:
    import numpy as np

#: stands for the tokens that a text is too short to have
_PADDING = 0x2545F4914F6CDD1D
_MULTIPLIER = 0x9E3779B97F4A7C15
#: characters that are hashed together: enough to spread the cost of the calls, few enough for the caches
_CHARACTERS = 100_000


@dataclass(frozen=True)
class ShingleBatch:
    """Shingles of some texts, one text after another, in order of occurrence and with repetitions.

    Text i has ``hashes[starts[i]:starts[i + 1]]`` (uint64), at least one; ``starts`` is int64, shape (texts + 1,).
    """

    hashes: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1


class Shingler:
    """Makes shingles of ``ngram`` tokens. A shorter text is one shingle, so the empty text has one too."""

    def __init__(self, ngram: int) -> None:
        self.ngram = ngram
        self._token_hashes = TokenHasher()

    def batch(self, texts: Sequence[str]) -> ShingleBatch:
        """The shingles of each text."""
        import numpy as np

        parts, counts = [np.empty(0, dtype=np.uint64)], [np.zeros(1, dtype=np.int64)]
        for portion in _portions(texts):
            runs, found = self._runs(portion)
            parts.append(runs)
            counts.append(found)
        return ShingleBatch(np.concatenate(parts), np.cumsum(np.concatenate(counts)))

    def sets(self, texts: Sequence[str]) -> Iterator[np.ndarray]:
        """The set of each text's shingles: sorted, each once, uint64."""
        import numpy as np

        batch = self.batch(texts)
        for start, end in pairwise(batch.starts.tolist()):
            found = np.sort(batch.hashes[start:end])
            yield found[np.concatenate(([True], found[1:] != found[:-1]))]

    def _runs(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of all runs, and the number of runs of each text."""
        import numpy as np

        tokens, counts = self._token_hashes(texts)
        missing = np.maximum(self.ngram - counts, 0)
        if missing.any():
            tokens = np.insert(tokens, np.repeat(np.cumsum(counts), missing), np.uint64(_PADDING))
            counts = counts + missing
        count = len(tokens) - self.ngram + 1
        half, odd = np.uint64(32), np.uint64(_MULTIPLIER)
        runs = tokens[:count].copy()
        for offset in range(1, self.ngram):
            # a bijection of the tokens so far, so that order counts
            runs ^= runs >> half
            runs *= odd
            runs += tokens[offset : offset + count]
        # a run that begins in the last n - 1 tokens of a text reaches into the next one
        inside = np.ones(count, dtype=bool)
        for back in range(1, self.ngram):
            inside[np.cumsum(counts)[:-1] - back] = False
        return mix(runs[inside]), counts - (self.ngram - 1)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """|A ∩ B| / |A ∪ B| of two non-empty sets, each sorted and without repetitions."""
    import numpy as np

    merged = np.concatenate((first, second))
    merged.sort()
    shared = int(np.count_nonzero(merged[1:] == merged[:-1]))
    return shared / (len(merged) - shared)


def _portions(texts: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    characters = 0
    for text in texts:
        portion.append(text)
        characters += len(text)
        if characters > _CHARACTERS:
            yield portion
            portion, characters = [], 0
    if portion:
        yield portion
