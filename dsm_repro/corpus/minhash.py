"""Near-duplicates: MinHash bands propose pairs, the exact Jaccard similarity decides, union-find groups.

With 14 bands of 8 rows a pair of similarity s is proposed with probability 1-(1-s^8)^14: 0.92 at
s=0.8, 0.9996 at 0.9, 0.05 at 0.5. Shingles are runs of maths-preserving tokens
(:mod:`dsm_repro.corpus.tokens`), so pages that differ in their equations stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.schema import MinHashConfig
from dsm_repro.corpus.tokens import tokenize

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Groups:
    """``keeper[i]`` is the document that stands for document i (i itself if it is kept)."""

    keeper: list[int]
    #: pairs that the bands proposed, and those whose exact similarity confirmed them
    proposed: int
    verified: int


def shingles(text: str, ngram: int) -> frozenset[int]:
    """64-bit hashes of all runs of ``ngram`` tokens; a shorter text is one shingle."""
    import xxhash

    tokens = tokenize(text)
    runs = zip(*(tokens[start:] for start in range(ngram)), strict=False) if len(tokens) > ngram else [tuple(tokens)]
    return frozenset(xxhash.xxh3_64_intdigest(" ".join(run).encode()) for run in runs)


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """|A ∩ B| / |A ∪ B|; 1 for two empty sets."""
    union = len(first | second)
    return len(first & second) / union if union else 1.0


def signatures(documents: Sequence[frozenset[int]], config: MinHashConfig) -> np.ndarray:
    """MinHash signatures, shape (documents, bands·rows), uint32 (datasketch, scheme ``affine32``)."""
    import numpy as np
    from datasketch import MinHash

    width = config.bands * config.rows
    # every document shares the permutations of the first: making them anew costs more than the hashing
    first = MinHash(num_perm=width, seed=config.seed, scheme="affine32", hashfunc=_low_bits)
    found = np.empty((len(documents), width), dtype=np.uint32)
    for row, document in enumerate(documents):
        sketch = MinHash(
            num_perm=width, seed=config.seed, scheme="affine32", hashfunc=_low_bits, permutations=first.permutations
        )
        sketch.update_batch(sorted(document))
        found[row] = sketch.hashvalues
    return found


def _low_bits(shingle: int) -> int:
    # shingles are hashes already
    return shingle & 0xFFFFFFFF


def group(texts: Sequence[str], priority: Sequence[int], config: MinHashConfig) -> Groups:
    """Groups of near-duplicate texts. In each, the highest ``priority`` is kept; the earliest among equals."""
    sets = [shingles(text, config.ngram) for text in texts]
    signed = signatures(sets, config)
    parent = list(range(len(texts)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    checked: set[tuple[int, int]] = set()
    verified = 0
    for band in range(config.bands):
        buckets: dict[bytes, list[int]] = {}
        columns = signed[:, band * config.rows : (band + 1) * config.rows]
        for item in range(len(texts)):
            bucket = buckets.setdefault(columns[item].tobytes(), [])
            for other in bucket:
                if root(item) == root(other) or (other, item) in checked:
                    continue
                checked.add((other, item))
                if jaccard(sets[item], sets[other]) >= config.jaccard:
                    verified += 1
                    parent[max(root(item), root(other))] = min(root(item), root(other))
            bucket.append(item)
    best: dict[int, int] = {}
    for item in range(len(texts)):
        top = best.setdefault(root(item), item)
        if priority[item] > priority[top]:
            best[root(item)] = item
    return Groups([best[root(item)] for item in range(len(texts))], len(checked), verified)
