"""The readers by their names in the configuration. One module reads one format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import hf, html, jsonl, parquet, warc, wet
from dsm_repro.corpus.readers.inputs import InputFile, find_files


@dataclass(frozen=True)
class Reader:
    """``find(paths, key)`` gives the files, ``read(file, guards)`` the records of one.

    ``parts(file)`` gives the bytes of each part of a local file, for formats whose files can be cut.
    """

    find: Callable[[Sequence[str], str], list[InputFile]]
    read: Callable[[InputFile, ExtractionConfig], Iterator[RawPage | Drop]]
    parts: Callable[[InputFile], list[int]] | None = None


def _in_files(paths: Sequence[str], key: str, *, suffixes: tuple[str, ...]) -> list[InputFile]:
    return find_files(paths, suffixes, key)


READERS: dict[str, Reader] = {
    "warc": Reader(partial(_in_files, suffixes=warc.SUFFIXES), warc.read),
    "wet": Reader(partial(_in_files, suffixes=wet.SUFFIXES), wet.read),
    "html": Reader(partial(_in_files, suffixes=html.SUFFIXES), html.read),
    "parquet": Reader(partial(_in_files, suffixes=parquet.SUFFIXES), parquet.read, parquet.parts),
    "jsonl": Reader(partial(_in_files, suffixes=jsonl.SUFFIXES), jsonl.read),
    "hf": Reader(hf.find, hf.read, hf.parts),
}
