"""WARC and WET records; a damaged stretch is counted and the reader goes on behind it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dsm_repro.corpus.pages import Drop, RawPage

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

_SCAN_BYTES = 1 << 20
#: enough of a gzip member to see whether a WARC record begins in it
_PROBE_BYTES = 4_096
#: HTTP headers come on top of the page in a record's length
_HEADER_ALLOWANCE = 64_000
_HTML_TYPES = ("text/html", "application/xhtml+xml", "")
_START = re.compile(rb"\x1f\x8b\x08|WARC/1\.")


def read_warc(path: Path, limit: int) -> Iterator[RawPage | Drop]:
    """HTML pages of the response records of a WARC file."""
    yield from _records(path, limit, wet=False)


def read_wet(path: Path, limit: int) -> Iterator[RawPage | Drop]:
    """Plain texts of the conversion records of a WET file."""
    yield from _records(path, limit, wet=True)


def _records(path: Path, limit: int, *, wet: bool) -> Iterator[RawPage | Drop]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    wanted = WarcRecordType.conversion if wet else WarcRecordType.response | WarcRecordType.resource
    size = path.stat().st_size
    if size == 0:
        yield Drop("", path.name, "empty_file")
        return
    with path.open("rb") as file:
        start: int | None = 0
        in_damage = False
        while start is not None:
            file.seek(start)
            seen = start
            try:
                for record in ArchiveIterator(file, record_types=WarcRecordType.any_type, parse_http=False):
                    seen = record.stream_pos
                    source = f"{path.name}@{seen}"
                    if record.headers.get("Content-Length") is None:
                        # the file ends inside this record's header
                        yield Drop("", source, "warc_truncated", "no Content-Length")
                    elif record.record_type & wanted:
                        yield _page(record, source, limit, wet=wet)
                    in_damage = False
                if _ends_in_fragment(file, seen):
                    yield Drop("", f"{path.name}@{size}", "warc_truncated", "the file ends inside a record's header")
                return
            except OSError as error:
                # one entry for each stretch between two good records, however many members it spans
                if not in_damage:
                    yield Drop("", f"{path.name}@{seen}", "warc_damaged", str(error))
                in_damage = True
                start = _next_record(file, seen + 1)


def _page(record: WarcRecord, source: str, limit: int, *, wet: bool) -> RawPage | Drop:
    url = record.headers.get("WARC-Target-URI") or ""
    length = record.content_length
    if length > limit + (0 if wet else _HEADER_ALLOWANCE):
        return Drop(url, source, "too_large", f"{length} bytes")
    raw = record.reader.read()
    if len(raw) < length:
        return Drop(url, source, "warc_truncated", f"{len(raw)} of {length} bytes")
    if wet:
        return RawPage(url, raw, html=False, source=source)
    record.set_bytes_content(raw)
    if record.is_http:
        record.parse_http(auto_decode="all")
        status = record.http_headers.status_code if record.http_headers is not None else None
        if status is not None and status != 200:
            return Drop(url, source, "http_status", str(status))
    kind = (record.http_content_type or "").split(";")[0].strip().lower()
    if kind not in _HTML_TYPES:
        return Drop(url, source, "not_html", kind)
    body = record.reader.read(limit + 1)
    if len(body) > limit:
        return Drop(url, source, "too_large", f"more than {limit} bytes after decoding")
    return RawPage(url, body, html=True, source=source, charset=record.http_charset)


def _ends_in_fragment(file: BinaryIO, last: int) -> bool:
    """Whether bytes follow the gzip member at ``last``, the last one with a record in it."""
    file.seek(last)
    data = file.read(_SCAN_BYTES)
    if not data.startswith(b"\x1f\x8b\x08"):
        return False
    member = zlib.decompressobj(31)
    while data and not member.eof:
        member.decompress(data, _SCAN_BYTES)
        data = member.unconsumed_tail or file.read(_SCAN_BYTES)
    return bool((member.unused_data + data).strip(b"\x00"))


def _next_record(file: BinaryIO, offset: int) -> int | None:
    """Position of the next place, at or after ``offset``, where a WARC record begins; None at the end."""
    while True:
        file.seek(offset)
        chunk = file.read(_SCAN_BYTES)
        for match in _START.finditer(chunk):
            position = offset + match.start()
            if _begins_record(file, position):
                return position
        if len(chunk) < _SCAN_BYTES:
            return None
        offset += _SCAN_BYTES - 8


def _begins_record(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    head = file.read(_PROBE_BYTES)
    if head.startswith(b"WARC/1."):
        return True
    try:
        # 31: a gzip header is expected; the magic bytes also occur by chance inside compressed data
        return zlib.decompressobj(31).decompress(head, 8).startswith(b"WARC/1.")
    except zlib.error:
        return False
