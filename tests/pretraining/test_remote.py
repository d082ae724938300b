"""Files at an address: read as a stream whatever their compression, and wrong ones named with the fix."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import islice

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.training_schema import SourceSpec
from dsm_repro.pretraining.remote import file_texts
from dsm_repro.pretraining.sources import texts


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    import fsspec

    yield
    memory = fsspec.filesystem("memory")
    for path in memory.find("/"):
        memory.rm(path)


def put(path: str, content: bytes) -> None:
    import fsspec

    with fsspec.open(f"memory://{path}", "wb", compression="infer") as file:
        file.write(content)


def lines(*rows: object) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def read(pattern: str, seed: int = 0, **spec: str) -> list[str]:
    return list(file_texts("it", SourceSpec(kind="hf", name=f"memory://{pattern}", **spec), seed))


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".bz2"])
def test_json_lines_of_every_compression(ending: str) -> None:
    # a line separator that is text, and other fields that differ between rows
    put(f"d/a.jsonl{ending}", lines({"text": "x\u2028y", "meta": {"n": 1}}, {"text": "é", "meta": "none"}) + b"\n")
    assert read("d/*.jsonl*") == ["x\u2028y", "é"]


def test_parquet_reads_the_column_of_the_text() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"content": [f"row {i}" for i in range(600)], "score": [1.0] * 600}), buffer)
    put("d/sub/a.parquet", buffer.getvalue())
    assert read("d/**/*.parquet", text_field="content") == [f"row {i}" for i in range(600)]
    with pytest.raises(DataError, match=r"a\.parquet: no field 'text' \(it has: content, score\).*it\.text_field"):
        read("d/**/*.parquet")


def test_two_stars_match_files_at_any_depth() -> None:
    for path in ("t/a.jsonl", "t/x/b.jsonl", "t/x/y/c.jsonl"):
        put(path, lines({"text": path}))
    assert sorted(read("t/**/*.jsonl")) == ["t/a.jsonl", "t/x/b.jsonl", "t/x/y/c.jsonl"]


def test_the_seed_decides_the_order_of_the_files() -> None:
    for i in range(8):
        put(f"d/{i}.jsonl", lines({"text": f"{i}a"}, {"text": f"{i}b"}))
    assert read("d/*", 1) == read("d/*", 1) != read("d/*", 2)
    assert sorted(read("d/*", 1)) == sorted(read("d/*", 2))


def test_files_that_are_not_needed_are_not_opened() -> None:
    put("d/good.jsonl", lines(*({"text": str(i)} for i in range(5))))
    for i in range(20):
        put(f"d/bad{i:02}.jsonl", b"{not json\n")
    seed = next(s for s in range(200) if _first_of(s, 21) == 20)
    assert list(islice(file_texts("it", SourceSpec(kind="hf", name="memory://d/*"), seed), 5)) == list("01234")


def _first_of(seed: int, count: int) -> int:
    import random

    order = list(range(count))
    random.Random(f"files/{seed}").shuffle(order)
    return order[0]


def test_a_source_of_kind_hf_with_an_address_is_read_as_files() -> None:
    put("d/a.jsonl", lines({"text": "here"}))
    assert list(texts("it", SourceSpec(kind="hf", name="memory://d/*"), 0, None, 0)) == ["here"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"text": "fine"}\n{"text": \n', r"a\.jsonl, line 2: not a JSON line"),
        (b'{"text": "fine"}\n["text"]\n', r"a\.jsonl, line 2: no field 'text' \(it has: none\)"),
        (b'{"body": "x", "id": 1}\n', r"line 1: no field 'text' \(it has: body, id\)\. Set scale\.sources\.it\.text_f"),
    ],
)
def test_a_bad_line_is_named(content: bytes, said: str) -> None:
    put("d/a.jsonl", content)
    with pytest.raises(DataError, match=said):
        read("d/*.jsonl")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("memory://nothing/*.jsonl", "no file matches"),
        ("memory://d/*", r"notes\.txt is neither JSON lines nor parquet"),
        ("nosuch://d/*", "cannot be listed .*nosuch"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused(pattern: str, said: str) -> None:
    put("d/notes.txt", b"x")
    with pytest.raises(ConfigError, match=rf"scale\.sources\.it\.name={pattern.split('*')[0]}.*{said}"):
        list(file_texts("it", SourceSpec(kind="hf", name=pattern), 0))
