"""Arrow files as ``datasets.save_to_disk`` leaves them, by record batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.inputs import InputFile, disk_error, opened
from dsm_repro.corpus.readers.rows import pages_of_batch

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".arrow",)
#: of the random-access form; `datasets` writes the other one, a stream
_FILE_MAGIC = b"ARROW1"
#: rows measured together: the columns are views, but their sizes become Python numbers
_ROWS = 1_000


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every row of the file's parts (record batches) in order; ``source`` holds the row's number in the file.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    import pyarrow as pa

    start, stop = file.parts or (0, None)
    row = 1
    number = -1
    with opened(file) as handle:
        try:
            for number, batch in enumerate(_batches(file, handle)):
                if stop is not None and number >= stop:
                    return
                if number >= start:
                    yield from _pages(batch, row, file.name, guards.max_page_bytes)
                row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            _refuse_fault(file, error)
            # the stream's framing is lost with the batch
            yield Drop("", f"{file.name}:{row}", "arrow_damaged", f"record batch {number + 1}: {error}"[:200])
            return
    if row == 1 and start == 0:
        yield Drop("", file.name, "empty_file")


def parts(file: InputFile) -> list[int]:
    """Bytes of each record batch that can be reached in a local file."""
    import pyarrow as pa

    sizes: list[int] = []
    with opened(file) as handle:
        try:
            sizes.extend(batch.nbytes for batch in _batches(file, handle))
        except (pa.ArrowException, OSError) as error:
            _refuse_fault(file, error)  # damage is counted when the last part is read
    return sizes


def _batches(file: InputFile, handle: BinaryIO) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    magic = handle.read(len(_FILE_MAGIC))
    handle.seek(0)
    if not magic:
        return
    # mapped, so that the batches before a part are passed over without being read
    source = handle if file.remote else pa.memory_map(file.address)
    if magic == _FILE_MAGIC:
        table = pa.ipc.open_file(source)
        yield from (table.get_batch(number) for number in range(table.num_record_batches))
    else:
        yield from pa.ipc.open_stream(source)


def _pages(batch: pa.RecordBatch, row: int, name: str, limit: int) -> Iterator[RawPage | Drop]:
    import pyarrow as pa

    for offset in range(0, batch.num_rows, _ROWS):
        try:
            yield from pages_of_batch(batch.slice(offset, _ROWS), row + offset, name, limit)
        except pa.ArrowInvalid as error:
            yield Drop("", f"{name}:{row + offset}", "arrow_damaged", f"up to {_ROWS} rows: {error}"[:200])


def _refuse_fault(file: InputFile, error: Exception) -> None:
    if isinstance(error, OSError) and error.errno is not None:
        raise disk_error(file, error) from error
