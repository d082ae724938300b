"""Parquet and Arrow: a damaged row group or value costs only itself, and a large one is not decoded."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reader_files import LIMIT, in_shards, items, page_names, read, reasons

from dsm_repro.corpus.pages import Drop, RawPage

KNOWN = ("parquet_damaged", "arrow_damaged", "empty_file", "invalid_utf8", "no_text_field", "too_large")


def table(count: int, **columns: Any) -> pa.Table:
    draw = random.Random(0)
    texts = [f"{number} {draw.randbytes(100).hex()}" for number in range(count)]
    return pa.table(
        {"url": [f"http://e.example/{n}" for n in range(count)], "text": texts, "n": range(count), **columns}
    )


def write_arrow(path: Path, found: pa.Table, rows: int) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found, max_chunksize=rows)


def test_rows_are_numbered_from_one(tmp_path: Path) -> None:
    pq.write_table(table(100), tmp_path / "a.parquet", row_group_size=30)
    found = items("parquet", tmp_path / "a.parquet")
    assert page_names(found) == [str(number) for number in range(100)] and reasons(found) == []
    assert [item.source for item in found] == [f"a.parquet:{number}" for number in range(1, 101)]


def test_rows_without_text_and_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"url": ["http://e.example/0", "http://e.example/1"], "text": ["x", None]}), path)
    assert read("parquet", path) == (["0"], ["no_text_field"])
    pq.write_table(pa.table({"url": ["http://e.example/0"], "text": [["a list"]]}), path)
    assert read("parquet", path) == ([], ["no_text_field"])
    pq.write_table(pa.table({"n": [1, 2]}), path)
    assert read("parquet", path) == ([], ["no_text_field"] * 2)
    pq.write_table(table(0), path)
    assert read("parquet", path) == ([], ["empty_file"])
    path.write_bytes(b"")
    assert read("parquet", path) == ([], ["empty_file"])
    path.write_bytes(b"PAR1 not really")
    assert read("parquet", path) == ([], ["parquet_damaged"])


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_of_every_arrow_type(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["x", None, "é"]).cast(kind)
    write_arrow(tmp_path / "a.arrow", pa.table({"text": texts}), 2)
    expected = [RawPage("", "x", False, "a.arrow:1"), Drop("", "a.arrow:2", "no_text_field", "fields ['text']")]
    assert items("hf", tmp_path / "a.arrow") == [*expected, RawPage("", "é", False, "a.arrow:3")]


def test_html_as_bytes_comes_before_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["t", "t"], "html": pa.array([b"<p>\xff", None])}), tmp_path / "a.parquet")
    assert items("parquet", tmp_path / "a.parquet") == [
        RawPage("", b"<p>\xff", True, "a.parquet:1"),
        RawPage("", "t", False, "a.parquet:2"),
    ]


def test_value_that_is_no_utf8_costs_its_row(tmp_path: Path) -> None:
    texts = pa.array([b"good", b"\xff\xfe", b"good"]).view(pa.string())
    urls = pa.array([b"http://e.example/\xff", b"", b"http://e.example/2"]).view(pa.string())
    pq.write_table(pa.table({"url": urls, "text": texts}), tmp_path / "a.parquet")
    assert read("parquet", tmp_path / "a.parquet") == (["�", "2"], ["invalid_utf8"])


def test_large_values_are_measured_in_bytes(tmp_path: Path) -> None:
    texts = ["é" * (LIMIT // 2), "é" * (LIMIT // 2) + "e", "x" * 50_000_000]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    first, second, third = items("parquet", tmp_path / "a.parquet")
    assert isinstance(first, RawPage) and isinstance(second, Drop) and isinstance(third, Drop)
    assert (second.detail, third.detail) == (f"{LIMIT + 1} bytes", "50000000 bytes")


def test_damaged_row_group_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(300), path, row_group_size=100, compression="zstd")
    column = pq.read_metadata(path).row_group(1).column(1)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    found = items("parquet", path)
    assert page_names(found) == [str(n) for n in (*range(100), *range(200, 300))]
    assert reasons(found) == ["parquet_damaged"] and found[-1].source == "a.parquet:300"


@pytest.mark.parametrize("reader", ["parquet", "hf"])
def test_random_damage_never_stops_the_file(tmp_path: Path, reader: str) -> None:
    path = tmp_path / ("a.parquet" if reader == "parquet" else "a.arrow")
    if reader == "parquet":
        pq.write_table(table(400), path, row_group_size=100, compression="snappy")
    else:
        write_arrow(path, table(400), 100)
    whole = path.read_bytes()
    draw = random.Random(0)
    for trial in range(150):
        data = bytearray(whole)
        at = draw.randrange(len(data))
        if trial % 3 == 0:
            del data[at:]
        else:
            data[at : at + draw.choice([1, 4, 100])] = draw.randbytes(4)
        path.write_bytes(data)
        for item in items(reader, path):
            assert isinstance(item, RawPage) or item.reason in KNOWN


def test_truncated_arrow_keeps_the_batches_before(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_arrow(path, table(300), 100)
    path.write_bytes(path.read_bytes()[: int(0.8 * path.stat().st_size)])
    found = items("hf", path)
    assert page_names(found) == [str(n) for n in range(200)] and reasons(found) == ["arrow_damaged"]
    assert found[-1].source == "a.arrow:201"


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("truncated", [False, True])
def test_parts_are_the_whole(tmp_path: Path, suffix: str, truncated: bool) -> None:
    path = tmp_path / f"train.{suffix}"
    if suffix == "parquet":
        pq.write_table(table(1_000), path, row_group_size=50)
    else:
        write_arrow(path, table(1_000), 50)
    if truncated:
        path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    reader, place = ("parquet", path) if suffix == "parquet" else ("hf", tmp_path)
    whole = items(reader, path)
    counts = []
    for size in (1, 20_000, 100_000, 10**9):
        shards = in_shards(reader, [place], size)
        assert [item for shard in shards for item in shard] == whole
        counts.append(len(shards))
    if truncated and suffix == "parquet":
        assert reasons(whole) == ["parquet_damaged"] and counts == [1] * 4
    else:
        assert counts[0] == (13 if truncated else 20) and counts[0] > counts[1] > counts[2] > counts[3] == 1
