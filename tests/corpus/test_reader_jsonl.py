"""JSON lines, plain and compressed: every line is a page or a counted drop, in bounded memory."""

from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from reader_files import LIMIT, items, page_names, read, reasons

from dsm_repro.corpus.pages import Drop, RawPage

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "jsonl": bytes,
    "jsonl.gz": gzip.compress,
    "jsonl.zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def rows(count: int) -> list[bytes]:
    return [json.dumps({"url": f"http://e.example/{n}", "text": f"{n} " * 50}).encode() + b"\n" for n in range(count)]


def one(path: Path, line: str) -> RawPage | Drop:
    path.write_text(line + "\n")
    (found,) = items("jsonl", path)
    return found


@pytest.mark.parametrize("suffix", PACKERS)
def test_bad_lines_are_counted(tmp_path: Path, suffix: str) -> None:
    lines = [json.dumps({"url": "http://e.example/0", "text": "x"}), "{broken", "[1]", '{"url": "http://e.example/3"}',
             "", json.dumps({"url": "http://e.example/4", "html": "<p>y</p>"}), "[" * 100_000]  # fmt: skip
    data = "\n".join(lines).encode() + b'\n{"text": "\xff\xfe"}\n\xff\xfe'
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(PACKERS[suffix](data))
    found = items("jsonl", path)
    assert page_names(found) == ["0", "4"]
    expected = ["bad_json", "bad_row", "no_text_field", "bad_json", "invalid_utf8", "bad_json"]
    assert reasons(found)[:-1] == expected[:-1] and reasons(found)[-1] in ("bad_json", "invalid_utf8")
    assert found[-2].source == f"a.{suffix}:8"


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_truncated_file_keeps_what_is_whole(tmp_path: Path, suffix: str, share: float) -> None:
    lines = rows(20_000)
    data = PACKERS[suffix](b"".join(lines))
    (tmp_path / f"a.{suffix}").write_bytes(data[: max(10, int(share * len(data)) - 10)])
    pages, dropped = read("jsonl", tmp_path / f"a.{suffix}")
    assert dropped == [f"{'gzip' if suffix.endswith('gz') else 'zst'}_damaged"]
    assert pages == [str(number) for number in range(len(pages))]
    # zstandard gives whole blocks only
    assert share * 20_000 - 5_000 <= len(pages) <= 20_000


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst"])
def test_damage_in_the_middle_is_counted(tmp_path: Path, suffix: str) -> None:
    data = bytearray(PACKERS[suffix](b"".join(rows(5_000))))
    data[len(data) // 2 : len(data) // 2 + 50] = b"\xff" * 50
    (tmp_path / f"a.{suffix}").write_bytes(data)
    # a checksum may be what tells, at the end
    assert reasons(items("jsonl", tmp_path / f"a.{suffix}"))[-1].endswith("_damaged")


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst"])
def test_several_members_are_one_file(tmp_path: Path, suffix: str) -> None:
    first, second = rows(2)
    # the cut is inside a line, and a skippable frame stands between the two
    middle = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" if suffix.endswith("zst") else b""
    pack = PACKERS[suffix]
    (tmp_path / f"a.{suffix}").write_bytes(middle + pack(first + second[:20]) + middle + pack(second[20:]))
    assert read("jsonl", tmp_path / f"a.{suffix}") == (["0", "1"], [])


@pytest.mark.parametrize("suffix", PACKERS)
def test_empty_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "a").write_bytes(PACKERS[suffix](b""))
    (tmp_path / "b").write_bytes(b"")
    assert read("jsonl", tmp_path / "a", tmp_path / "b") == ([], ["empty_file"] * 2)


def test_compression_is_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(b"".join(rows(3))))
    (tmp_path / "b.jsonl.gz").write_bytes(b"".join(rows(2)))
    assert read("jsonl", tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz") == (["0", "1", "2", "0", "1"], [])


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    found = one(tmp_path / "a", r'{"url": "http://e.example/\ud800", "text": "a\udfffb \ud83d\ude00"}')
    assert found == RawPage("http://e.example/�", "a�b \U0001f600", html=False, source="a:1")
    found = one(tmp_path / "a", r'{"url": "http://e.example/", "\ud800": 1}')
    assert isinstance(found, Drop) and found.detail.encode()


def test_size_is_in_bytes(tmp_path: Path) -> None:
    fits, over = "é" * (LIMIT // 2), "é" * (LIMIT // 2) + "e"
    assert isinstance(one(tmp_path / "a", json.dumps({"text": fits})), RawPage)
    found = one(tmp_path / "a", json.dumps({"text": over}))
    assert isinstance(found, Drop) and found.reason == "too_large"


@pytest.mark.parametrize("suffix", PACKERS)
def test_line_of_100_megabytes_is_not_held(tmp_path: Path, suffix: str) -> None:
    first, second = rows(2)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(PACKERS[suffix](first + b'{"text": "' + b"x" * 100_000_000 + b'"}\n' + second))
    items("jsonl", path)  # what is imported and buffered once
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 80_000_000, limits[1]))
    try:
        found = items("jsonl", path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert page_names(found) == ["0", "1"] and reasons(found) == ["too_large"]
    assert [item.source.rpartition(":")[2] for item in found] == ["1", "2", "3"]
    assert isinstance(found[1], Drop) and found[1].detail == "a line of 100000013 bytes"
