"""The artifact of stage ``crawl``: de-duplicated pages in parquet shards, read by column or by row.

A page's row number counts through the shards in order. Everything but the texts fits in memory;
texts are read by row group.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.corpus.pages import Page

if TYPE_CHECKING:
    import pyarrow as pa

#: columns of every shard, in this order
COLUMNS = ("url", "domain", "text", "tokens", "source", "language", "source_type")
#: rows whose texts are read together
ROW_GROUP = 256


def schema() -> pa.Schema:
    """Of a shard of pages."""
    import pyarrow as pa

    types = {"tokens": pa.int64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])


def write_pages(pages: Iterable[Page], path: Path) -> int:
    """Write one shard; returns its number of pages. The same pages give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetWriter(path, schema(), compression="zstd", compression_level=3) as writer:
        for batch in _batches(pages):
            columns = {name: [getattr(page, name) for page in batch] for name in COLUMNS}
            writer.write_table(pa.table(columns, schema=schema()), row_group_size=ROW_GROUP)
            count += len(batch)
    return count


class Crawl:
    """Pages of parquet shards. ``urls``, ``domains``, ``tokens``, … are columns by row number."""

    def __init__(self, files: Sequence[Path]) -> None:
        import pyarrow.parquet as pq

        self.files = tuple(files)
        columns = [name for name in COLUMNS if name != "text"]
        tables = [pq.read_table(path, columns=columns) for path in self.files]
        self.starts = [0]
        for table in tables:
            self.starts.append(self.starts[-1] + table.num_rows)
        joined = {name: [value for table in tables for value in table[name].to_pylist()] for name in columns}
        self.urls: list[str] = joined["url"]
        self.domains: list[str] = joined["domain"]
        self.tokens: list[int] = joined["tokens"]
        self.sources: list[str] = joined["source"]
        self.languages: list[str] = joined["language"]
        self.source_types: list[str] = joined["source_type"]

    @classmethod
    def of(cls, artifact: Path) -> Crawl:
        """The crawl that a stage ``crawl`` published."""
        return cls(sorted((artifact / "pages").glob("*.parquet")))

    def __len__(self) -> int:
        return self.starts[-1]

    def rows_of(self, shard: int) -> range:
        """Row numbers of one shard."""
        return range(self.starts[shard], self.starts[shard + 1])

    def texts(self, rows: Sequence[int]) -> list[str]:
        """Texts of these rows, in the order given; each row group that holds one is read once."""
        import pyarrow.parquet as pq

        wanted: dict[tuple[int, int], list[int]] = {}
        for row in set(rows):
            shard = bisect_right(self.starts, row) - 1
            wanted.setdefault((shard, (row - self.starts[shard]) // ROW_GROUP), []).append(row)
        found: dict[int, str] = {}
        opened: tuple[int, Any] = (-1, None)
        for (shard, number), members in sorted(wanted.items()):
            if opened[0] != shard:
                opened = (shard, pq.ParquetFile(self.files[shard]))
            first = self.starts[shard] + number * ROW_GROUP
            column = opened[1].read_row_group(number, columns=["text"])["text"]
            found.update((row, column[row - first].as_py()) for row in members)
        return [found[row] for row in rows]

    def parts(self, start: int, stop: int) -> Iterator[tuple[int, range]]:
        """(file number, rows within it) that the rows from ``start`` to below ``stop`` are made of."""
        for number in range(len(self.files)):
            rows = self.rows_of(number)
            first, last = max(start, rows.start), min(stop, rows.stop)
            if first < last:
                yield number, range(first - rows.start, last - rows.start)


def read_pages(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Page]:
    """Pages of one parquet shard in order, from row ``start`` to below ``stop``."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        stop = file.metadata.num_rows if stop is None else stop
        for number in range(start // ROW_GROUP, -(-stop // ROW_GROUP)):
            for row, columns in enumerate(file.read_row_group(number).to_pylist(), number * ROW_GROUP):
                if start <= row < stop:
                    yield Page(**columns)


def read_column(path: Path, name: str) -> Iterator[str]:
    """One column of a parquet shard in order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.metadata.num_row_groups):
            yield from file.read_row_group(number, columns=[name])[name].to_pylist()


def _batches(pages: Iterable[Page]) -> Iterator[list[Page]]:
    batch: list[Page] = []
    for page in pages:
        batch.append(page)
        if len(batch) == ROW_GROUP:
            yield batch
            batch = []
    if batch:
        yield batch
