"""datatrove's four MinHash steps as its example runs them, on one worker of its local executor.

0.10.1 fails with xxhash 4, which refuses text; its English tokenizer is spaCy's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

MODULES = (
    "spacy", "multiprocess", "pyarrow.parquet", "pyarrow.dataset", "datatrove.executor", "datatrove.pipeline.dedup",
    "datatrove.pipeline.readers",
)  # fmt: skip
BANDS, ROWS, NGRAM = 14, 8, 5


class _Split:
    """White space cuts words: the cheapest tokenizer there is, in place of spaCy's."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def groups(crawl: Path, folder: Path, files: int, *, spacy: bool, keep_signs: bool) -> list[list[int]]:
    """Rows of each group of duplicates that datatrove finds among the pages of ``crawl``.

    Args:
        spacy: cut words with datatrove's own tokenizer for English, else at white space.
        keep_signs: leave numbers and punctuation as they are, which is not datatrove's default.
    """
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.utils.text import TextNormConfig

    norm = TextNormConfig(norm_numbers=not keep_signs, remove_punctuation=not keep_signs)
    config = MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS, norm_config=norm)
    signature = MinhashDedupSignature(str(folder / "signatures"), config=config)
    if not spacy:
        signature.word_tokenizer = _Split()
    reader = ParquetReader(str(crawl), glob_pattern="*.parquet", text_key="text", id_key="url", shuffle_files=False)
    steps: list[tuple[int, list[Any]]] = [
        (files, [reader, signature]),
        (BANDS, [MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=config)]),
        (
            1,
            [MinhashDedupCluster(str(folder / "buckets"), str(folder / "remove"), config=config, save_cluster_id=True)],
        ),
        (files, [reader, MinhashDedupFilter(str(folder / "remove")), _count]),
    ]
    for number, (tasks, pipeline) in enumerate(steps):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(folder / f"logs-{number}")).run()
    return _groups(crawl, folder / "remove", files)


def _count(data: Iterable[Any], rank: int = 0, world_size: int = 1) -> Iterable[Any]:
    """The last step: reads the pages that stay."""
    for _ in data:
        pass
    yield from ()


def _groups(crawl: Path, folder: Path, files: int) -> list[list[int]]:
    import pyarrow.parquet as pq

    found: dict[int, list[int]] = defaultdict(list)
    start = 0
    for number in range(files):
        path = folder / f"{number:06d}.clusters"
        if path.exists():
            for row, cluster in np.fromfile(path, dtype="<u4").reshape(-1, 2).tolist():
                found[cluster].append(start + row)
        start += pq.read_metadata(crawl / f"{number:05d}.parquet").num_rows
    return list(found.values())


VARIANTS: dict[str, dict[str, bool]] = {
    "datatrove": {"spacy": True, "keep_signs": False},
    "datatrove, split()": {"spacy": False, "keep_signs": False},
    "datatrove, split(), signs kept": {"spacy": False, "keep_signs": True},
}
