"""Where raw pages come from: WARC, WET, folders of HTML, parquet, JSON lines, Hugging Face data sets.

A path that is missing stops before any work; a damaged record is counted with a reason and costs only
itself; a fault of the disk or the network is neither, and stops the shard.
"""

from __future__ import annotations

from dsm_repro.corpus.readers.inputs import InputFile
from dsm_repro.corpus.readers.plan import (
    input_files,
    listing,
    local_inputs,
    plan_shards,
    read_shard,
    read_texts,
    seed_files,
    total_bytes,
)
from dsm_repro.corpus.readers.registry import READERS

__all__ = [
    "READERS",
    "InputFile",
    "input_files",
    "listing",
    "local_inputs",
    "plan_shards",
    "read_shard",
    "read_texts",
    "seed_files",
    "total_bytes",
]
