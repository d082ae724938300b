"""Where raw pages come from: the miniature web, WARC, WET, folders of HTML, parquet, JSON lines.

A path that is missing stops before any work; a damaged record is counted with a reason and skipped.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import CorpusConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.warc import read_warc, read_wet

#: names of the fields of a JSON or parquet row: the first one present is used
_URL_FIELDS = ("url", "URL", "source_url")
_TEXT_FIELDS = ("text", "content")
_HTML_FIELDS = ("html", "raw_html")
_PARQUET_ROWS = 1_000


@dataclass(frozen=True)
class Reader:
    """``read(path, max bytes of a page)`` yields pages and drops; ``suffixes`` selects files in a folder."""

    read: Callable[[Path, int], Iterator[RawPage | Drop]]
    suffixes: tuple[str, ...]


def read_html(path: Path, limit: int) -> Iterator[RawPage | Drop]:
    """One saved page; folders are laid out as ``wget -r`` leaves them, so the path gives the address."""
    size = path.stat().st_size
    url = html_url(path)
    if size > limit:
        yield Drop(url, path.name, "too_large", f"{size} bytes")
    else:
        yield RawPage(url, path.read_bytes(), html=True, source=path.name)


def html_url(path: Path) -> str:
    """The part of the path that looks like an address: from the last directory with a dot in its name on."""
    parts = path.resolve().parts
    sites = [index for index, part in enumerate(parts[:-1]) if "." in part.strip(".")]
    start = sites[-1] if sites else len(parts) - 2
    return "http://" + "/".join(parts[start:])


def read_jsonl(path: Path, limit: int) -> Iterator[RawPage | Drop]:
    """JSON lines, plain or gzip, with ``url`` and ``text`` or ``html``."""
    number = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            while line := file.readline(2 * limit):
                number += 1
                source = f"{path.name}:{number}"
                try:
                    row = json.loads(line)
                except ValueError as error:  # covers bad UTF-8 too
                    yield Drop("", source, "bad_json", str(error)[:200])
                    continue
                yield _row(row, source, limit)
        except (EOFError, OSError, zlib.error) as error:
            yield Drop("", f"{path.name}:{number + 1}", "gzip_damaged", str(error))
    if number == 0:
        yield Drop("", path.name, "empty_file")


def read_parquet(path: Path, limit: int) -> Iterator[RawPage | Drop]:
    """Rows with ``url`` and ``text`` or ``html``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            wanted = {*_URL_FIELDS, *_TEXT_FIELDS, *_HTML_FIELDS}
            columns = [name for name in file.schema_arrow.names if name in wanted]
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield _row(row, f"{path.name}:{number}", limit)
    except (pa.ArrowException, OSError) as error:
        yield Drop("", f"{path.name}:{number + 1}", "parquet_damaged", str(error)[:200])


def _row(row: object, source: str, limit: int) -> RawPage | Drop:
    if not isinstance(row, dict):
        return Drop("", source, "bad_row", type(row).__name__)
    url = next((row[name] for name in _URL_FIELDS if isinstance(row.get(name), str)), "")
    for names, html in ((_HTML_FIELDS, True), (_TEXT_FIELDS, False)):
        for name in names:
            body = row.get(name)
            if isinstance(body, (str, bytes)):
                if len(body) > limit:
                    return Drop(url, source, "too_large", f"{len(body)} characters")
                return RawPage(url, body, html=html, source=source)
    return Drop(url, source, "no_text_field", f"fields {sorted(map(str, row))[:8]}")


READERS: dict[str, Reader] = {
    "warc": Reader(read_warc, (".warc", ".warc.gz")),
    "wet": Reader(read_wet, (".warc.wet", ".warc.wet.gz", ".wet", ".wet.gz")),
    "html": Reader(read_html, (".html", ".htm", ".xhtml")),
    "parquet": Reader(read_parquet, (".parquet",)),
    "jsonl": Reader(read_jsonl, (".jsonl", ".json", ".jsonl.gz", ".json.gz")),
}


def expand(paths: list[str], suffixes: tuple[str, ...], key: str) -> list[Path]:
    """Files that paths, globs and folders mean, sorted by path, each once.

    Raises:
        ConfigError: no path given. DataError: a path that matches nothing or cannot be read.
    """
    if not paths:
        raise ConfigError(f"{key}=[]: give at least one file, folder or glob")
    found: set[Path] = set()
    for pattern in paths:
        names = glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 (absolute)
        matches = [Path(name) for name in names]
        files: list[Path] = []
        for match in matches:
            if match.is_dir():
                files.extend(p for p in match.rglob("*") if p.is_file() and p.name.lower().endswith(suffixes))
            elif match.is_file():
                files.append(match)
        if not files:
            raise DataError(f"{key}: {pattern}: no such file, or no {'/'.join(suffixes)} file in it. Check the path.")
        found.update(files)
    for path in found:
        if not os.access(path, os.R_OK):
            raise DataError(f"{key}: {path}: permission denied. Make the file readable.")
    return sorted(found)


def input_files(config: CorpusConfig) -> list[Path]:
    """The crawl's files; none for the miniature web, which is made from its configuration."""
    if config.reader == "miniature":
        return []
    if config.reader not in READERS:
        raise ConfigError(f"corpus.reader={config.reader}: use one of miniature, {', '.join(READERS)}")
    return expand(list(config.paths), READERS[config.reader].suffixes, "corpus.paths")


def read_files(reader: str, files: list[Path], limit: int) -> Iterator[RawPage | Drop]:
    """Every record of the files in order."""
    for path in files:
        yield from READERS[reader].read(path, limit)


def read_texts(files: list[Path], key: str) -> list[str]:
    """The ``text`` of every row of JSON-lines files (seed documents).

    Raises:
        DataError: a row without a text, with file and line.
    """
    texts = []
    for path in files:
        for item in read_jsonl(path, limit=1 << 30):
            if isinstance(item, Drop):
                raise DataError(f"{key}: {item.source}: {item.reason} {item.detail}. Every line needs a field 'text'.")
            texts.append(item.body if isinstance(item.body, str) else item.body.decode("utf-8", "replace"))
    return texts
