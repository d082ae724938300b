"""Records of WARC and WET files; a damaged stretch is counted and the reader goes on behind it."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, BinaryIO

from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers.inputs import InputFile, disk_error, opened
from dsm_repro.corpus.readers.rows import valid

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord, WarcRecordType

#: record ids of one file that are remembered, the last ones (about 50 MB): a Common Crawl file has 50,000
REMEMBERED_IDS = 500_000
#: the search for the next record reads little at first, because it is mostly near
_FIRST_SCAN_BYTES = 1 << 12
_SCAN_BYTES = 1 << 20
#: wrong lengths lead far behind their records, and what is there must be read again; past so many times the
#: file's size the rest is given up, or a file of nothing but wrong lengths would take days
_MAX_REREADS = 16
#: a record that is read again costs this much anyway
_FREE_REREAD_BYTES = 1 << 17
#: enough of a gzip member to see whether a WARC record begins in it
_PROBE_BYTES = 4_096
#: a gzip header whose flags, compression level and system are ones that exist, or a record without gzip
_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]....[\x00\x02\x04][\x00-\x0d\xff]|WARC/1\.[01]\r?\n", re.DOTALL)
_START_BYTES = 10

#: (record, its bytes, its address, its source, largest page) -> the page
ToPage = Callable[["WarcRecord", bytes, str, str, int], RawPage | Drop]


def read_records(
    file: InputFile, wanted: WarcRecordType, limit: int, allowance: int, to_page: ToPage
) -> Iterator[RawPage | Drop]:
    """Pages of the ``wanted`` records; ``allowance`` is what a record's length may hold beside a page of ``limit``.

    Raises:
        DataError: the file cannot be opened or the disk fails.
    """
    with opened(file) as handle:
        try:
            yield from _Records(file.name, handle, wanted, limit, allowance, to_page).all()
        except OSError as error:
            raise disk_error(file, error) from error


class _Records:
    """One pass over one file."""

    def __init__(
        self, name: str, file: BinaryIO, wanted: WarcRecordType, limit: int, allowance: int, to_page: ToPage
    ) -> None:
        self.name, self.file, self.wanted, self.limit, self.allowance = name, file, wanted, limit, allowance
        self.to_page = to_page
        self.size = file.seek(0, os.SEEK_END)
        #: hashes of the ids of the records that became pages, in their order
        self.ids: dict[int, None] = {}
        #: where the record begins that was met last
        self.seen = 0
        #: the damage at hand has been counted: one drop for each stretch between two good records
        self.counted = False
        self.reread = 0

    def all(self) -> Iterator[RawPage | Drop]:
        if self.size == 0:
            yield Drop("", self.name, "empty_file")
        start: int | None = 0 if self.size else None
        while start is not None:
            try:
                whole = yield from self._from(start)
            except OSError as error:
                if error.errno is not None:
                    raise  # the disk, not the file
                whole = False
                if not self.counted:
                    yield self._drop("", "warc_damaged", str(error))
            if whole:
                return
            self.counted = True
            self.reread += max(0, self.file.tell() - self.seen - _FREE_REREAD_BYTES)
            if self.reread > _MAX_REREADS * self.size:
                yield self._drop("", "warc_damaged", "the rest is given up: too many records have a wrong length")
                return
            start = _next_record(self.file, self.seen + 1)

    def _from(self, start: int) -> Generator[RawPage | Drop, None, bool]:
        """Records from ``start`` on; returns True at the file's end, False where a record's length was wrong."""
        from fastwarc.warc import ArchiveIterator, WarcRecordType

        self.file.seek(start)
        self.seen = start
        for record in ArchiveIterator(self.file, record_types=WarcRecordType.any_type, parse_http=False):
            self.seen = record.stream_pos
            said = record.headers.get("Content-Length")
            if said is None or not (said.isdecimal() and int(said) == record.content_length):
                yield self._drop("", "warc_truncated" if said is None else "warc_damaged", f"Content-Length: {said}")
                self.counted = True
                continue
            outcome, missing = self._outcome(record)
            if outcome is not None:
                yield outcome
            if missing:
                if outcome is None:
                    yield self._drop("", "warc_truncated", f"{missing} of {record.content_length} bytes missing")
                return False
            self.counted = False
        if _ends_in_fragment(self.file, self.seen):
            yield Drop("", f"{self.name}@{self.size}", "warc_truncated", "the file ends inside a record's header")
        return True

    def _outcome(self, record: WarcRecord) -> tuple[RawPage | Drop | None, int]:
        """The page of a record (None where no page is wanted), and how many of its bytes the file does not have."""
        length = record.content_length
        # wget writes WARC 1.0's own example, which has the address in angle brackets
        url = valid((record.headers.get("WARC-Target-URI") or "").strip("<>"))
        if not record.record_type & self.wanted:
            return None, length - record.consume()
        if length > self.limit + self.allowance:
            missing = length - record.consume()
            return None if missing else self._drop(url, "too_large", f"{length} bytes"), missing
        raw = record.reader.read()
        if len(raw) < length:
            return self._drop(url, "warc_truncated", f"{len(raw)} of {length} bytes"), length - len(raw)
        identity = _hash(record.record_id)
        if identity in self.ids:
            return self._drop(url, "duplicate_record_id", (record.record_id or "")[:200]), 0
        page = self.to_page(record, raw, url, f"{self.name}@{self.seen}", self.limit)
        if identity is not None and isinstance(page, RawPage):
            self.ids[identity] = None
            if len(self.ids) > REMEMBERED_IDS:
                del self.ids[next(iter(self.ids))]
        return page, 0

    def _drop(self, url: str, reason: str, detail: str) -> Drop:
        return Drop(url, f"{self.name}@{self.seen}", reason, valid(detail))


def _hash(record_id: str | None) -> int | None:
    import xxhash

    return None if record_id is None else xxhash.xxh3_64_intdigest(record_id.encode("utf-8", "surrogatepass"))


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
    size = _FIRST_SCAN_BYTES
    while True:
        file.seek(offset)
        chunk = file.read(size)
        for match in _START.finditer(chunk):
            position = offset + match.start()
            if _begins_record(file, position):
                return position
        if len(chunk) < size:
            return None
        # the end of this piece may hold the first bytes of a start
        offset += size - _START_BYTES + 1
        size = min(2 * size, _SCAN_BYTES)


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
