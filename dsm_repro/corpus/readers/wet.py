"""Plain texts of the conversion records of a WET file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.inputs import InputFile
from dsm_repro.corpus.readers.records import read_records

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

SUFFIXES = (".warc.wet", ".warc.wet.gz", ".wet", ".wet.gz")


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every conversion record in order; ``source`` holds the byte at which it (or its gzip member) begins.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    from fastwarc.warc import WarcRecordType

    return read_records(file, WarcRecordType.conversion, guards.max_page_bytes, 0, _page)


def _page(record: WarcRecord, raw: bytes, url: str, source: str, limit: int) -> RawPage | Drop:
    return RawPage(url, raw, html=False, source=source)
