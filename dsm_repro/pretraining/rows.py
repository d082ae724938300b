"""The packed rows of all sources in one file of a stage's scratch, written once and read by all of its processes.

In memory they would be 4 bytes a token in every process: of the paper's 500B tokens, 2 TB. The file is mapped, so that
the system keeps of it what is in use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ROWS_FILE = "rows.int32"
#: rows of each source, in the order of the file; written when that is complete
COUNTS_FILE = "rows.json"
TOKEN_BYTES = 4
#: where the plan says what the file takes
NOTED_BYTES = 1e9


def write_rows(scratch: Path, sources: Mapping[str, Iterable[np.ndarray]]) -> dict[str, int]:
    """Write the rows of the sources one after the other; returns how many each has.

    A killed run's file is used again: ``scratch`` belongs to one key, which has one text.
    """
    told = scratch / COUNTS_FILE
    if told.exists():
        return dict(json.loads(told.read_text()))
    counts = dict.fromkeys(sources, 0)
    with (scratch / ROWS_FILE).open("wb") as file:
        for name, blocks in sources.items():
            for block in blocks:
                counts[name] += len(block)
                file.write(block.tobytes())
        # before it is called complete, for this machine and for others that share the disk
        file.flush()
        os.fsync(file.fileno())
    complete = scratch / f"{COUNTS_FILE}.partial"
    complete.write_text(json.dumps(counts))
    complete.replace(told)
    return counts


def mapped_rows(scratch: Path, rows: int, length: int) -> np.ndarray:
    """What :func:`write_rows` wrote (int32, rows × length), of which nothing is in memory yet."""
    import numpy as np

    return np.memmap(scratch / ROWS_FILE, dtype=np.int32, mode="r", shape=(rows, length))


def rows_note(tokens: float) -> tuple[str, ...]:
    """A remark for the plan on the space that the file takes while the stage runs."""
    size = TOKEN_BYTES * tokens
    return () if size < NOTED_BYTES else (f"token ids take {size / 1e9:,.0f} GB of the store's disk while it runs",)
