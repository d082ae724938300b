"""Parquet files with ``url`` and ``text`` or ``html``, by row group, so that a damaged one costs only itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.inputs import InputFile, disk_error, opened
from dsm_repro.corpus.readers.rows import FIELDS, pages_of_batch

SUFFIXES = (".parquet",)
#: rows decoded together: few, because a row can be a page of 100 MB
_ROWS = 32
#: bytes of a column chunk read at once; without it a whole row group is held
_READ_BYTES = 1 << 20


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every row of the file's parts (row groups) in order; ``source`` holds the row's number in the file.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(file) as handle:
        if handle.seek(0, os.SEEK_END) == 0:
            yield Drop("", file.name, "empty_file")
            return
        handle.seek(0)
        try:
            table = pq.ParquetFile(handle, buffer_size=_READ_BYTES, pre_buffer=False)
            groups = [table.metadata.row_group(number).num_rows for number in range(table.num_row_groups)]
            columns = [name for name in table.schema_arrow.names if name in FIELDS]
        except (pa.ArrowException, OSError) as error:
            _refuse_fault(file, error)
            yield Drop("", file.name, "parquet_damaged", f"footer: {error}"[:200])
            return
        start, stop = file.parts or (0, None)
        if sum(groups) == 0 and start == 0:
            yield Drop("", file.name, "empty_file")
        for number in range(len(groups))[start:stop]:
            row = sum(groups[:number]) + 1
            try:
                for batch in table.iter_batches(_ROWS, row_groups=[number], columns=columns, use_threads=False):
                    yield from pages_of_batch(batch, row, file.name, guards.max_page_bytes)
                    row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                _refuse_fault(file, error)
                yield Drop("", f"{file.name}:{row}", "parquet_damaged", f"row group {number}: {error}"[:200])


def parts(file: InputFile) -> list[int]:
    """Bytes of each row group of a local file; none where the footer cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(Path(file.address))
    except (pa.ArrowException, OSError):
        return []  # counted when the file is read
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [sum(group.column(i).total_compressed_size for i in range(group.num_columns)) for group in groups]


def _refuse_fault(file: InputFile, error: Exception) -> None:
    if isinstance(error, OSError) and error.errno is not None:
        raise disk_error(file, error) from error
