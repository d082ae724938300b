"""Signatures of a shard as band keys: pages whose keys meet in a band are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.corpus_schema import MinHashConfig
from dsm_repro.corpus.dedup.keys import write_keys
from dsm_repro.corpus.dedup.shingles import Shingler
from dsm_repro.corpus.dedup.signers import sign

if TYPE_CHECKING:
    import numpy as np

#: texts and characters that are signed together
_TEXTS, _CHARACTERS = 256, 4_000_000
_MULTIPLIER = 0x9E3779B97F4A7C15


def write_signatures(texts: Iterable[str], config: MinHashConfig, out: Path) -> int:
    """Write the band keys of a shard's texts under ``out``; returns the number of texts.

    Takes 12 bytes on disk, and up to 24 in memory, for each text and band.

    Raises:
        ConfigError: unknown ``signer``, or its library is not installed.
    """
    import numpy as np

    shingler = Shingler(config.ngram)
    keys = [np.empty((config.bands, 0), dtype=np.uint64)]
    for batch in _batches(texts):
        keys.append(band_keys(sign(shingler.batch(batch), config), config.bands))
    joined = np.concatenate(keys, axis=1)
    write_keys(joined, out)
    return joined.shape[1]


def band_keys(signatures: np.ndarray, bands: int) -> np.ndarray:
    """64-bit hashes of each band of signatures (texts, bands·rows), shape (bands, texts)."""
    import numpy as np

    half, odd = np.uint64(32), np.uint64(_MULTIPLIER)
    columns = signatures.reshape(len(signatures), bands, -1).astype(np.uint64)
    keys = np.zeros((len(signatures), bands), dtype=np.uint64)
    for row in range(columns.shape[2]):
        keys ^= keys >> half
        keys += columns[:, :, row]
        keys *= odd
    keys ^= keys >> half
    keys *= odd
    return keys.T


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _TEXTS or characters > _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
