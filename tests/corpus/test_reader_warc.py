"""WARC and WET: damage is counted and costs only what is damaged."""

from __future__ import annotations

import gzip
import io
import random
import resource
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard
from reader_files import LIMIT, items, page_names, read, reasons, record, write_warc
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import records

PAGE = b"<p>page</p>" * 40


def in_members(*found: bytes) -> bytes:
    return b"".join(map(gzip.compress, found))


def http(body: bytes, **headers: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + head.encode() + b"\r\n" + body


def one(path: Path, data: bytes) -> RawPage | Drop:
    path.write_bytes(data)
    (found,) = items("warc", path)
    return found


def test_pages_come_with_charset_and_source(tmp_path: Path) -> None:
    write_warc(tmp_path / "a.warc.gz")
    first = items("warc", tmp_path / "a.warc.gz")[0]
    assert isinstance(first, RawPage)
    assert (first.url, first.charset, first.source) == ("http://e.example/0", "utf-8", "a.warc.gz@0")
    assert first.body == b"<p>page 0</p>" * 40


def test_wet_records_are_plain_text(tmp_path: Path) -> None:
    write_warc(tmp_path / "a.warc.wet.gz", kind="conversion")
    found = items("wet", tmp_path / "a.warc.wet.gz")
    assert len(found) == 5 and all(isinstance(item, RawPage) and not item.html for item in found)


@pytest.mark.parametrize("bytes_left", [12, 30, 100, 200, 280])
def test_truncated_member_is_counted(tmp_path: Path, bytes_left: int) -> None:
    offsets = write_warc(tmp_path / "a.warc.gz")
    data = (tmp_path / "a.warc.gz").read_bytes()
    (tmp_path / "a.warc.gz").write_bytes(data[: offsets[3] + bytes_left])
    pages, dropped = read("warc", tmp_path / "a.warc.gz")
    assert pages == ["0", "1", "2"] and len(dropped) == 1


def test_damaged_member_costs_one_record(tmp_path: Path) -> None:
    offsets = write_warc(tmp_path / "a.warc.gz")
    data = bytearray((tmp_path / "a.warc.gz").read_bytes())
    data[offsets[2] + 60] ^= 0xFF
    (tmp_path / "a.warc.gz").write_bytes(data)
    assert read("warc", tmp_path / "a.warc.gz") == (["0", "1", "3", "4"], ["warc_damaged"])


@pytest.mark.parametrize("error", [300, -300])
def test_wrong_length_does_not_lose_the_records_behind(tmp_path: Path, error: int) -> None:
    offsets = write_warc(tmp_path / "a.warc", compress=False)
    data = (tmp_path / "a.warc").read_bytes()
    start = data.index(b"Content-Length: ", offsets[2]) + len(b"Content-Length: ")
    end = data.index(b"\r\n", start)
    wrong = str(int(data[start:end]) + error).encode()
    (tmp_path / "a.warc").write_bytes(data[:start] + wrong + data[end:])
    pages, dropped = read("warc", tmp_path / "a.warc")
    assert set(pages) >= {"0", "1", "3", "4"} and dropped == ["warc_damaged"]


@pytest.mark.parametrize("length", [2_000, 10**12, 10**30, -5])
@pytest.mark.parametrize("kind", [b"response", b"request"])
@pytest.mark.parametrize("pack", [b"".join, lambda found: in_members(*found)], ids=["plain", "gzip"])
def test_length_beyond_the_end_of_the_file(tmp_path: Path, length: int, kind: bytes, pack) -> None:
    """A record that claims the rest of the file swallows nothing, also where it is none of a page."""
    path = tmp_path / "a.warc"
    path.write_bytes(pack([record(0), record(1, length=length, kind=kind), record(2), record(3)]))
    pages, dropped = read("warc", path)
    assert pages == ["0", "2", "3"] and len(dropped) == 1


def test_file_of_nothing_but_wrong_lengths_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_FREE_REREAD_BYTES", 1_000)
    (tmp_path / "a.warc").write_bytes(b"".join(record(number, length=10**9) for number in range(2_000)))
    found = items("warc", tmp_path / "a.warc")
    assert set(reasons(found)) == {"warc_truncated", "warc_damaged"}
    assert len(found) < 100 and "given up" in found[-1].detail  # type: ignore[union-attr]


def test_what_is_no_page_is_counted(tmp_path: Path) -> None:
    with (tmp_path / "a.warc.gz").open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for number, (status, kind, size) in enumerate(
            [
                ("404 Not Found", "text/html", 9),
                ("200 OK", "image/png", 9),
                ("200 OK", "text/html", LIMIT + 1),
                ("200 OK", "text/html", 9),
            ]
        ):
            headers = StatusAndHeaders(status, [("Content-Type", kind)], protocol="HTTP/1.1")
            payload = io.BytesIO(b"x" * size)
            writer.write_record(
                writer.create_warc_record(
                    f"http://e.example/{number}", "response", payload=payload, http_headers=headers
                )
            )
    assert read("warc", tmp_path / "a.warc.gz") == (["3"], ["http_status", "not_html", "too_large"])


def test_resources_have_their_type_in_the_record(tmp_path: Path) -> None:
    kinds = ["image/png", "text/dns", "text/html; charset=latin-1"]
    found = [record(number, PAGE, kind=b"resource", Content_Type=kind) for number, kind in enumerate(kinds)]
    (tmp_path / "a.warc").write_bytes(b"".join(found))
    first, second, third = items("warc", tmp_path / "a.warc")
    assert [item.reason for item in (first, second) if isinstance(item, Drop)] == ["not_html", "not_html"]
    assert isinstance(third, RawPage) and third.charset == "latin-1"


def test_address_in_angle_brackets(tmp_path: Path) -> None:
    assert one(tmp_path / "a.warc", record(0, WARC_Target_URI="<http://e.example/x>")).url == "http://e.example/x"


def test_header_that_is_no_utf8_can_be_written(tmp_path: Path) -> None:
    one(tmp_path / "a.warc", record(0, WARC_Target_URI="http://e.example/\xe9")).url.encode()


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b"")
    (tmp_path / "b.warc").write_bytes(b"this is no archive" * 100)
    assert read("warc", tmp_path / "a.warc", tmp_path / "b.warc") == ([], ["empty_file", "warc_damaged"])


def test_record_id_seen_twice_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(record(0) + record(1) + record(0) + record(2))
    (tmp_path / "b.warc").write_bytes(record(0))
    found = items("warc", tmp_path / "a.warc", tmp_path / "b.warc")
    assert page_names(found) == ["0", "1", "2", "0"] and reasons(found) == ["duplicate_record_id"]
    assert isinstance(found[2], Drop) and found[2].detail == "<urn:uuid:0>"


def test_second_copy_of_a_damaged_record_is_no_duplicate(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(record(0, length=10**6) + record(0) + record(1))
    assert read("warc", tmp_path / "a.warc") == (["0", "1"], ["warc_truncated"])


def test_remembered_ids_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "REMEMBERED_IDS", 2)
    numbers = [0, 1, 1, 2, 0]
    (tmp_path / "a.warc").write_bytes(b"".join(map(record, numbers)))
    assert read("warc", tmp_path / "a.warc") == (["0", "1", "2", "0"], ["duplicate_record_id"])


@pytest.mark.parametrize(
    ("headers", "packed"),
    [
        ({"Content_Encoding": "gzip"}, gzip.compress(PAGE)),
        ({"Content_Encoding": "br"}, brotli.compress(PAGE)),
        ({"Content_Encoding": "zstd"}, zstandard.compress(PAGE)),
        ({"Content_Encoding": "deflate"}, zlib.compress(PAGE)),
        ({"Content_Encoding": "deflate"}, zlib.compress(PAGE)[2:-4]),
        ({"Content_Encoding": "gzip", "Transfer_Encoding": "chunked"}, gzip.compress(PAGE)),
        ({"Content_Encoding": "deflate, gzip"}, gzip.compress(zlib.compress(PAGE))),
        # what archivers leave: the header of what they have unpacked, or an encoding that is none
        ({"Content_Encoding": "gzip"}, PAGE),
        ({"Transfer_Encoding": "Chunked"}, PAGE),
        ({"Content_Encoding": "utf-8"}, PAGE),
    ],
    # by number: gzip writes the time into its header
    ids=map(str, range(10)),
)
def test_packed_bodies(tmp_path: Path, headers: dict[str, str], packed: bytes) -> None:
    if headers.get("Transfer_Encoding") == "chunked":
        packed = b"".join(
            b"%x;ext=1\r\n%s\r\n" % (len(packed[i : i + 7]), packed[i : i + 7]) for i in range(0, len(packed), 7)
        )
        packed += b"0\r\n\r\n"
    found = one(tmp_path / "a.warc", record(0, http(packed, **headers)))
    assert isinstance(found, RawPage) and found.body == PAGE


def test_body_that_breaks_off_gives_what_there_is(tmp_path: Path) -> None:
    page = b"".join(b"<p>%d</p>" % number for number in range(1_000))
    found = one(tmp_path / "a.warc", record(0, http(gzip.compress(page)[:-200], Content_Encoding="gzip")))
    assert isinstance(found, RawPage) and page.startswith(found.body) and len(found.body) > 1_000


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
def test_body_that_is_damaged_is_a_drop_and_the_next_record_is_read(tmp_path: Path, encoding: str) -> None:
    magic = {"gzip": b"\x1f\x8b\x08\x00", "zstd": b"\x28\xb5\x2f\xfd"}.get(encoding, b"")
    bad = record(0, http(magic + b"\xff\xfe" * 50, Content_Encoding=encoding))
    (tmp_path / "a.warc.gz").write_bytes(in_members(bad, record(1)))
    assert read("warc", tmp_path / "a.warc.gz") == (["1"], ["http_damaged"])


def test_http_header_without_end_is_a_drop_and_the_next_record_is_read(tmp_path: Path) -> None:
    bad = record(0, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 60_000)
    (tmp_path / "a.warc.gz").write_bytes(in_members(bad, record(1)))
    assert read("warc", tmp_path / "a.warc.gz") == (["1"], ["http_damaged"])


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_bombs_and_large_pages_are_not_held(tmp_path: Path, encoding: str) -> None:
    size = 100_000_000
    if encoding == "gzip":
        packed = gzip.compress(bytes(size), 1)[: LIMIT * 5]
    elif encoding == "zstd":
        packed = zstandard.ZstdCompressor().compress(bytes(size))
    else:
        packed = brotli.compress(bytes(size), quality=1)
    assert len(packed) < 60_000
    bomb = gzip.compress(record(0, http(packed, Content_Encoding=encoding)))
    large = gzip.compress(record(1, http(bytes(size))), 1)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(bomb + large + gzip.compress(record(2)))
    del packed, bomb, large
    items("warc", path)  # what is imported and buffered once
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, limits[1]))
    try:
        assert read("warc", path) == (["2"], ["too_large", "too_large"])
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("compress", [True, False])
def test_random_damage_never_stops_the_file(tmp_path: Path, compress: bool) -> None:
    """Whatever bytes are changed, most records are still read, and none is invented."""
    whole = b"".join(gzip.compress(record(number)) if compress else record(number) for number in range(20))
    draw = random.Random(0)
    for trial in range(60):
        data = bytearray(whole)
        for _ in range(3):
            at = draw.randrange(len(data))
            if trial % 3 == 0:
                del data[at : at + draw.randrange(1, 200)]
            elif trial % 3 == 1:
                data[at] = draw.randrange(256)
            else:
                data[at:at] = draw.randbytes(draw.randrange(1, 200))
        (tmp_path / "a.warc").write_bytes(data)
        found = items("warc", tmp_path / "a.warc")
        assert len(page_names(found)) >= 13
        assert all(len(item.url) < 60 and item.source.startswith("a.warc") for item in found)
