"""MinHash signatures by one of two libraries. Their permutations differ, so a crawl is signed by one of them.

A signature is an estimate that proposes pairs; which pairs are duplicates is decided by the exact
similarity, so the choice of the library moves only the pairs that no band proposes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dsm_repro.config.corpus_schema import MinHashConfig
from dsm_repro.config.errors import ConfigError
from dsm_repro.corpus.dedup.shingles import ShingleBatch

if TYPE_CHECKING:
    import numpy as np

#: shingles that datasketch takes at once: its table of (shingles, permutations) stays below 10 MB
_AT_ONCE = 20_000


def sign(batch: ShingleBatch, config: MinHashConfig) -> np.ndarray:
    """Signatures, shape (texts, bands·rows), uint32. Order and repetition of shingles make no difference.

    Raises:
        ConfigError: unknown ``signer``, or its library is not installed.
    """
    if config.signer not in SIGNERS:
        raise ConfigError(f"corpus.minhash.signer={config.signer}: use one of {', '.join(SIGNERS)}")
    return SIGNERS[config.signer](batch, config.bands * config.rows, config.seed)


def _sign_with_datasketch(batch: ShingleBatch, width: int, seed: int) -> np.ndarray:
    import numpy as np
    from datasketch import MinHash

    # the scheme is named because datasketch 2.0 changed its default
    first = MinHash(num_perm=width, seed=seed, scheme="affine32", hashfunc=int)
    low = (batch.hashes & np.uint64(0xFFFFFFFF)).tolist()  # shingles are hashes already
    bounds = batch.starts.tolist()
    found = np.empty((len(batch), width), dtype=np.uint32)
    for row in range(len(batch)):
        # drawing the permutations anew would cost more than the hashing
        sketch = MinHash(num_perm=width, seed=seed, scheme="affine32", hashfunc=int, permutations=first.permutations)
        for start in range(bounds[row], bounds[row + 1], _AT_ONCE):
            sketch.update_batch(low[start : min(start + _AT_ONCE, bounds[row + 1])])
        found[row] = sketch.hashvalues
    return found


def _sign_with_rensa(batch: ShingleBatch, width: int, seed: int) -> np.ndarray:
    import numpy as np

    try:
        from rensa import RMinHash
    except ImportError as error:
        raise ConfigError(
            "corpus.minhash.signer=rensa: rensa is not installed. "
            "Run `pip install rensa`, or set corpus.minhash.signer=datasketch."
        ) from error
    starts = batch.starts.astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(batch.hashes, starts, width, seed)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(batch), width)


#: name -> (shingles, width, seed) -> signatures
SIGNERS: dict[str, Callable[[ShingleBatch, int, int], np.ndarray]] = {
    "datasketch": _sign_with_datasketch,
    "rensa": _sign_with_rensa,
}
