"""A configuration's files: what they are for the identity, how they are cut into shards, what is read of a shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dsm_repro.config.corpus_schema import CorpusConfig, ExtractionConfig
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import jsonl, parquet
from dsm_repro.corpus.readers.html import html_url
from dsm_repro.corpus.readers.inputs import InputFile, find_files
from dsm_repro.corpus.readers.registry import READERS, Reader
from dsm_repro.corpus.readers.remote import is_remote
from dsm_repro.corpus.shards.step import Shard

#: seed documents are chosen by a person: a bound only against a file that is not one of documents
_SEED_GUARDS = ExtractionConfig(max_page_bytes=1 << 28)
_TEXT_SUFFIXES = (*jsonl.SUFFIXES, *parquet.SUFFIXES)


def input_files(config: CorpusConfig) -> list[InputFile]:
    """The crawl's files sorted by name; none for the miniature web, which is made from its configuration.

    Raises:
        ConfigError, DataError: an unknown reader, or a path that is missing or cannot be read.
    """
    if config.reader == "miniature":
        return []
    return _reader(config.reader).find(list(config.paths), "corpus.paths")


def local_inputs(config: CorpusConfig) -> tuple[Path, ...]:
    """The crawl's files of this machine, whose content decides the result. Raises as :func:`input_files`."""
    return tuple(Path(file.address) for file in input_files(config) if not file.remote)


def listing(config: CorpusConfig) -> list[dict[str, Any]]:
    """What is read, for the identity: a file of this machine by its name in ``source`` (its content counts besides).

    A remote file by its address, its size and what the server says about its content: a digest or a
    version, else its time. Where a server says nothing, a change of the same size is not noticed.
    Raises as :func:`input_files`.
    """
    found = []
    for file in input_files(config):
        said: dict[str, Any] = {"name": file.name}
        if file.remote:
            said |= {"address": file.address, "size": file.size, "stamp": file.stamp}
        if config.reader == "html":
            said["url"] = html_url(file.address)
        found.append(said)
    return found


def total_bytes(config: CorpusConfig) -> int:
    """Size of all files as they are stored, for estimates. Raises as :func:`input_files`."""
    return sum(file.size or 0 for file in input_files(config))


def plan_shards(config: CorpusConfig, shard_bytes: int) -> list[Shard]:
    """Consecutive files (and parts of local parquet and Arrow files) taken together until they reach ``shard_bytes``.

    The records of all shards in their order are those of all files in their order, whatever ``shard_bytes`` is.

    Raises:
        ConfigError: the reader is the miniature's, which writes files of its own first, or as :func:`input_files`.
    """
    reader = _reader(config.reader)
    shards: list[Shard] = []
    inputs: list[str] = []
    size = 0
    pieces = [piece for file in input_files(config) for piece in _pieces(reader, file, shard_bytes)]
    for piece in pieces:
        inputs.append(piece.encoded())
        size += piece.size or 0
        if size >= shard_bytes:
            shards.append(Shard(len(shards), tuple(inputs)))
            inputs, size = [], 0
    if inputs:
        shards.append(Shard(len(shards), tuple(inputs)))
    return shards


def read_shard(reader: str, inputs: Sequence[str], guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every record of a shard in order.

    Raises:
        DataError: a file cannot be opened or copied, or the disk fails. Damage in a file is a drop.
    """
    for text in inputs:
        yield from _reader(reader).read(InputFile.decoded(text), guards)


def seed_files(config: CorpusConfig) -> list[Path]:
    """The seed documents' files, sorted by name: JSON lines or parquet.

    Raises:
        ConfigError: a remote address; seeds are few, and their content is part of the key. DataError: a missing path.
    """
    for path in config.seed_paths:
        if is_remote(path):
            raise ConfigError(f"corpus.seed_paths: {path}: seeds are read from this machine. Copy the file here.")
    return [Path(file.address) for file in find_files(config.seed_paths, _TEXT_SUFFIXES, "corpus.seed_paths")]


def read_texts(paths: Sequence[str | Path], key: str) -> list[str]:
    """The ``text`` of every row of the JSON-lines or parquet files that these paths mean, by file name and row.

    Raises:
        ConfigError, DataError: no such file, or a row without a text, with file and row.
    """
    texts = []
    for file in find_files([str(path) for path in paths], _TEXT_SUFFIXES, key):
        module = parquet if file.address.lower().endswith(parquet.SUFFIXES) else jsonl
        for item in module.read(file, _SEED_GUARDS):
            if isinstance(item, Drop):
                raise DataError(f"{key}: {item.source}: {item.reason} {item.detail}. Every row needs a field 'text'.")
            if item.html:
                raise DataError(f"{key}: {item.source}: it has HTML. Every row needs a field 'text' with plain text.")
            texts.append(item.body if isinstance(item.body, str) else item.body.decode("utf-8", "replace"))
    return texts


def _reader(name: str) -> Reader:
    if name == "miniature":
        raise ConfigError("corpus.reader=miniature: it has no files before the web is written. Read those with warc.")
    if name not in READERS:
        raise ConfigError(f"corpus.reader={name}: use one of miniature, {', '.join(READERS)}.")
    return READERS[name]


def _pieces(reader: Reader, file: InputFile, shard_bytes: int) -> Iterator[InputFile]:
    """The file, or, where it is local, too large and of a format that can be cut, consecutive runs of its parts."""
    if reader.parts is None or file.remote or (file.size or 0) <= shard_bytes:
        yield file
        return
    sizes = reader.parts(file)
    start = size = 0
    for number, part in enumerate(sizes, 1):
        size += part
        if size >= shard_bytes and number < len(sizes):
            yield replace(file, parts=(start, number), size=size)
            start, size = number, 0
    # to the end: what cannot be reached there is counted by the last piece
    yield replace(file, parts=(start, None) if start else None, size=size if start else file.size)
