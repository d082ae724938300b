"""Every format yields its pages; damage is counted and costs only what is damaged."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import CorpusConfig
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import html_url, input_files, read_files, read_texts

LIMIT = 10_000


def write_warc(path: Path, count: int = 5, kind: str = "response", compress: bool = True) -> list[int]:
    """Records with 40 paragraphs each; returns their offsets."""
    offsets = []
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=compress)
        for number in range(count):
            offsets.append(file.tell())
            payload = io.BytesIO(f"<p>page {number}</p>".encode() * 40)
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            http = headers if kind == "response" else None
            writer.write_record(
                writer.create_warc_record(f"http://e.example/{number}", kind, payload=payload, http_headers=http)
            )
    return offsets


def read(reader: str, *paths: Path) -> tuple[list[str], list[str]]:
    """Last part of the URLs read, and the reasons of the drops."""
    items = list(read_files(reader, list(paths), LIMIT))
    pages = [item.url.rpartition("/")[2] for item in items if isinstance(item, RawPage)]
    return pages, [item.reason for item in items if isinstance(item, Drop)]


def test_warc_pages_come_with_charset_and_source(tmp_path: Path) -> None:
    write_warc(tmp_path / "a.warc.gz")
    first = next(iter(read_files("warc", [tmp_path / "a.warc.gz"], LIMIT)))
    assert isinstance(first, RawPage)
    assert (first.url, first.charset, first.source) == ("http://e.example/0", "utf-8", "a.warc.gz@0")
    assert first.body == b"<p>page 0</p>" * 40


@pytest.mark.parametrize("bytes_left", [12, 30, 100, 200, 280])
def test_truncated_member_is_counted(tmp_path: Path, bytes_left: int) -> None:
    offsets = write_warc(tmp_path / "a.warc.gz")
    data = (tmp_path / "a.warc.gz").read_bytes()
    (tmp_path / "a.warc.gz").write_bytes(data[: offsets[3] + bytes_left])
    pages, reasons = read("warc", tmp_path / "a.warc.gz")
    assert pages == ["0", "1", "2"] and len(reasons) == 1


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
    pages, reasons = read("warc", tmp_path / "a.warc")
    assert set(pages) >= {"0", "1", "3", "4"} and reasons == ["warc_damaged"]


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


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b"")
    (tmp_path / "b.warc").write_bytes(b"this is no archive" * 100)
    assert read("warc", tmp_path / "a.warc", tmp_path / "b.warc") == ([], ["empty_file", "warc_damaged"])


def test_wet_records_are_plain_text(tmp_path: Path) -> None:
    write_warc(tmp_path / "a.warc.wet.gz", kind="conversion")
    items = list(read_files("wet", [tmp_path / "a.warc.wet.gz"], LIMIT))
    assert len(items) == 5 and all(isinstance(item, RawPage) and not item.html for item in items)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_jsonl_counts_bad_lines(tmp_path: Path, suffix: str) -> None:
    lines = [json.dumps({"url": "http://e.example/0", "text": "x"}), "{broken", "[1]", '{"url": "http://e.example/3"}',
             json.dumps({"url": "http://e.example/4", "html": "<p>y</p>"})]  # fmt: skip
    data = "\n".join(lines).encode() + b"\n\xff\xfe\n"
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert read("jsonl", path) == (["0", "4"], ["bad_json", "bad_row", "no_text_field", "bad_json"])


def test_truncated_gzip_of_jsonl(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"url": f"http://e.example/{n}", "text": str(n) * 50}) + "\n" for n in range(200))
    data = gzip.compress(rows.encode())
    (tmp_path / "a.jsonl.gz").write_bytes(data[: len(data) // 2])
    pages, reasons = read("jsonl", tmp_path / "a.jsonl.gz")
    assert reasons == ["gzip_damaged"] and 0 <= len(pages) < 200


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"url": ["http://e.example/0", "http://e.example/1"], "text": ["x", None], "n": [1, 2]}), path
    )
    assert read("parquet", path) == (["0"], ["no_text_field"])
    path.write_bytes(b"PAR1 not really")
    assert read("parquet", path) == ([], ["parquet_damaged"])


def test_html_folder(tmp_path: Path) -> None:
    page = tmp_path / "crawl" / "maths.example" / "notes" / "one.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>one</p>")
    (page.parent / "style.css").write_text("p {}")
    files = input_files(CorpusConfig(reader="html", paths=[str(tmp_path / "crawl")]))
    assert files == [page] and html_url(page) == "http://maths.example/notes/one.html"
    assert read("html", *files) == (["one.html"], [])


def test_globs_are_sorted_and_each_file_is_read_once(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    config = CorpusConfig(reader="jsonl", paths=[str(tmp_path / "*.jsonl"), str(tmp_path / "a.jsonl")])
    assert [path.name for path in input_files(config)] == ["a.jsonl", "b.jsonl"]


def test_missing_path_and_unknown_reader_stop_before_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.paths.*nowhere"):
        input_files(CorpusConfig(reader="warc", paths=[str(tmp_path / "nowhere.warc.gz")]))
    with pytest.raises(DataError, match=r"corpus\.paths"):
        input_files(CorpusConfig(reader="warc", paths=[str(tmp_path)]))
    with pytest.raises(ConfigError, match=r"corpus\.reader=tape"):
        input_files(CorpusConfig(reader="tape"))
    with pytest.raises(ConfigError, match=r"corpus\.paths=\[\]"):
        input_files(CorpusConfig(reader="warc"))


def test_seed_texts_must_have_text(tmp_path: Path) -> None:
    (tmp_path / "seed.jsonl").write_text('{"text": "good"}\n{"no": 1}\n')
    with pytest.raises(DataError, match=r"seed\.jsonl:2.*'text'"):
        read_texts([tmp_path / "seed.jsonl"], "corpus.seed_paths")
