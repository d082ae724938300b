"""HTML pages of the response and resource records of a WARC file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.decoding import DamagedBodyError, decoded
from dsm_repro.corpus.readers.inputs import InputFile
from dsm_repro.corpus.readers.records import read_records

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

SUFFIXES = (".warc", ".warc.gz")
#: HTTP headers come on top of the page in a record's length
_HEADER_ALLOWANCE = 64_000
#: no Content-Type at all is common, and mostly HTML
_HTML_TYPES = ("text/html", "application/xhtml+xml", "")
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every response or resource record in order; ``source`` holds the byte at which it (or its gzip member) begins.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    from fastwarc.warc import WarcRecordType

    wanted = WarcRecordType.response | WarcRecordType.resource
    return read_records(file, wanted, guards.max_page_bytes, _HEADER_ALLOWANCE, _page)


def _page(record: WarcRecord, raw: bytes, url: str, source: str, limit: int) -> RawPage | Drop:
    if not record.is_http:
        content_type = record.headers.get("Content-Type") or ""
        return _html(raw, content_type, url, source, limit)
    message = _parsed(raw)
    if message is None:
        return Drop(url, source, "http_damaged", "the HTTP header cannot be read")
    headers = message.http_headers
    if headers.status_code not in (None, 200):
        return Drop(url, source, "http_status", str(headers.status_code))
    try:
        body = decoded(
            message.reader.read(),
            headers.get("Transfer-Encoding") or "",
            headers.get("Content-Encoding") or "",
            limit + 1,
        )
    except DamagedBodyError as error:
        return Drop(url, source, "http_damaged", str(error)[:200])
    return _html(body, headers.get("Content-Type") or "", url, source, limit)


def _html(body: bytes, content_type: str, url: str, source: str, limit: int) -> RawPage | Drop:
    kind = content_type.split(";")[0].strip().lower()
    if kind not in _HTML_TYPES:
        return Drop(url, source, "not_html", kind)
    if len(body) > limit:
        return Drop(url, source, "too_large", f"more than {limit} bytes")
    charset = _CHARSET.search(content_type)
    return RawPage(url, body, html=True, source=source, charset=charset[1] if charset else None)


def _parsed(raw: bytes) -> WarcRecord | None:
    """The HTTP message in a record of its own: an error in it must not end the file's iterator."""
    from fastwarc.warc import WarcRecord

    message = WarcRecord()
    message.set_bytes_content(raw)
    message.is_http = True
    try:
        message.parse_http(auto_decode="none")
    except OSError:
        return None
    return message if message.http_headers is not None else None
