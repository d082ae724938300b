"""Which files a configuration means, how they are cut into shards, and what of them is identity."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
import zstandard
from reader_files import GUARDS, in_shards, items, write_warc

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.pages import RawPage
from dsm_repro.corpus.readers import (
    READERS,
    InputFile,
    input_files,
    listing,
    local_inputs,
    plan_shards,
    read_shard,
    read_texts,
    seed_files,
    total_bytes,
)
from dsm_repro.corpus.readers.inputs import named
from dsm_repro.pipeline.identity import canonical_json


def config(reader: str, *paths: Path | str) -> CorpusConfig:
    return CorpusConfig(reader=reader, paths=[str(path) for path in paths])


def write_rows(path: Path, count: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"url": f"http://{path.stem}.example/{n}", "text": "x" * 50}) for n in range(count))
    path.write_text("".join(line + "\n" for line in lines))
    return path


def names(found: list[InputFile]) -> list[str]:
    return [file.name for file in found]


def test_globs_are_sorted_and_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "a"):
        write_rows(tmp_path / "deep" / f"{name}.jsonl")
    deep = tmp_path / "deep"
    monkeypatch.chdir(tmp_path)
    paths = [deep / "*.jsonl", deep / "a.jsonl", "deep/b.jsonl", "**/*.jsonl", "deep", f"file://{deep}/a.jsonl"]
    assert local_inputs(config("jsonl", *paths)) == (deep / "a.jsonl", deep / "b.jsonl")


def test_folders_give_files_of_the_readers_suffixes_and_a_named_file_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.json.gz", "sub/c.JSONL.ZST", "d.txt", "e.jsonl.part"):
        write_rows(tmp_path / name)
    assert names(input_files(config("jsonl", tmp_path))) == ["a.jsonl", "b.json.gz", "c.JSONL.ZST"]
    assert names(input_files(config("jsonl", tmp_path / "d.txt"))) == ["d.txt"]


def test_name_with_brackets_is_no_glob_where_the_file_exists(tmp_path: Path) -> None:
    write_rows(tmp_path / "a[1].jsonl")
    write_rows(tmp_path / "a1.jsonl")
    assert names(input_files(config("jsonl", tmp_path / "a[1].jsonl"))) == ["a[1].jsonl"]


def test_what_cannot_be_read_stops_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"corpus\.paths.*nowhere.*Check the path"):
        plan_shards(config("warc", tmp_path / "nowhere.warc.gz"), 1_000)
    with pytest.raises(DataError, match=r"corpus\.paths.*\.warc"):
        plan_shards(config("warc", tmp_path), 1_000)
    with pytest.raises(ConfigError, match=r"corpus\.reader=tape: use one of miniature, warc"):
        plan_shards(config("tape", tmp_path), 1_000)
    for reader in READERS:
        with pytest.raises(ConfigError, match=r"corpus\.paths=\[\]"):
            plan_shards(config(reader), 1_000)
    path = write_rows(tmp_path / "a.jsonl")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match=r"corpus\.paths.*a\.jsonl: permission denied"):
        plan_shards(config("jsonl", path), 1_000)


def test_folder_that_cannot_be_entered_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "open" / "a.jsonl")
    write_rows(tmp_path / "locked" / "b.jsonl")
    entered = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return entered(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"locked: Permission denied"):
        input_files(config("jsonl", tmp_path))


def test_file_name_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    path.write_text("{}\n")
    with pytest.raises(DataError, match=r"not UTF-8\. Rename it"):
        input_files(config("jsonl", tmp_path))


def test_file_that_vanishes_after_planning_is_no_drop(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl")
    (shard,) = plan_shards(config("jsonl", path), 1_000)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.jsonl: cannot be read"):
        list(read_shard("jsonl", shard.inputs, GUARDS))


def test_fault_of_the_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop would be published as if the file were bad."""

    def fail(*arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    write_warc(tmp_path / "a.warc.gz")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    monkeypatch.setattr("dsm_repro.corpus.readers.records._next_record", fail)
    data = bytearray((tmp_path / "a.warc.gz").read_bytes())
    data[300] ^= 0xFF
    (tmp_path / "a.warc.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.warc\.gz: cannot be read.*Input/output error"):
        items("warc", tmp_path / "a.warc.gz")
    monkeypatch.setattr(gzip.GzipFile, "readline", fail)
    with pytest.raises(DataError, match=r"b\.jsonl\.gz: cannot be read.*Input/output error"):
        items("jsonl", tmp_path / "b.jsonl.gz")


def test_names_are_the_shortest_that_tell_files_apart() -> None:
    addresses = ["/d/one/a.gz", "/d/two/a.gz", "/d/two/b.gz", "/e/two/c.gz", "/e/x/two/c.gz", "s3://k/two/a.gz",
                 "https://h/w.gz?v=1", "https://h/w.gz?v=2", "https://h/v.gz?token=secret"]  # fmt: skip
    found = named(InputFile(address) for address in addresses)
    assert {file.address: file.name for file in found} == {
        "/d/one/a.gz": "one/a.gz",
        "/d/two/a.gz": "d/two/a.gz",
        "s3://k/two/a.gz": "k/two/a.gz",
        "/d/two/b.gz": "b.gz",
        "/e/two/c.gz": "e/two/c.gz",
        "/e/x/two/c.gz": "x/two/c.gz",
        "https://h/w.gz?v=1": "https://h/w.gz?v=1",
        "https://h/w.gz?v=2": "https://h/w.gz?v=2",
        "https://h/v.gz?token=secret": "v.gz",
    }
    assert names(found) == sorted(names(found)) and found == named(reversed(found))


def test_files_of_one_name_are_not_confused(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_rows(tmp_path / place / "a.jsonl", 1)
    found = [item.source for shard in in_shards("jsonl", [tmp_path], 10**6) for item in shard]
    assert found == ["one/a.jsonl:1", "two/a.jsonl:1"]


def test_identity_is_content_and_not_the_folder(tmp_path: Path) -> None:
    for place in ("here", "there"):
        for name in ("one/a.jsonl", "two/a.jsonl", "b.jsonl"):
            write_rows(tmp_path / place / name)
    said = [listing(config("jsonl", tmp_path / place)) for place in ("here", "there")]
    assert said[0] == said[1] == [{"name": "b.jsonl"}, {"name": "one/a.jsonl"}, {"name": "two/a.jsonl"}]
    assert local_inputs(config("jsonl", tmp_path / "there")) == tuple(
        tmp_path / "there" / entry["name"] for entry in said[0]
    )
    canonical_json(said)


def test_miniature_has_no_files_and_no_shards_here() -> None:
    made = CorpusConfig(reader="miniature")
    assert (input_files(made), local_inputs(made), listing(made), total_bytes(made)) == ([], (), [], 0)
    with pytest.raises(ConfigError, match=r"corpus\.reader=miniature"):
        plan_shards(made, 1_000)


def test_shards_are_runs_of_files_that_reach_the_size(tmp_path: Path) -> None:
    for number in range(6):
        write_rows(tmp_path / f"{number}.jsonl", 10)
    size = (tmp_path / "0.jsonl").stat().st_size
    shards = plan_shards(config("jsonl", tmp_path), 2 * size)
    read = [[InputFile.decoded(text).name for text in shard.inputs] for shard in shards]
    assert read == [["0.jsonl", "1.jsonl"], ["2.jsonl", "3.jsonl"], ["4.jsonl", "5.jsonl"]]
    assert [shard.name for shard in shards] == ["00000", "00001", "00002"]
    assert [len(shard.inputs) for shard in plan_shards(config("jsonl", tmp_path), 4 * size)] == [4, 2]
    assert len(plan_shards(config("jsonl", tmp_path), 1)) == 6
    assert total_bytes(config("jsonl", tmp_path)) == 6 * size


@pytest.mark.parametrize("reader", ["jsonl", "warc", "html"])
def test_records_do_not_depend_on_how_they_are_cut(tmp_path: Path, reader: str) -> None:
    for number in range(5):
        if reader == "warc":
            write_warc(tmp_path / f"{number}.warc.gz", count=number)
        elif reader == "html":
            (tmp_path / f"{number}.html").write_text("<p>" * number)
        else:
            write_rows(tmp_path / f"{number}" / "a.jsonl", 7 * number)
    whole = [item for shard in in_shards(reader, [tmp_path], 10**9) for item in shard]
    assert len(whole) > 4
    for size in (1, 100, 900, 3_000):
        assert [item for shard in in_shards(reader, [tmp_path], size) for item in shard] == whole


def test_inputs_of_a_shard_say_all_that_is_read() -> None:
    file = InputFile("/d/é \n.parquet", "é \n.parquet", 7, (2, None))
    assert InputFile.decoded(file.encoded()) == file
    assert "\n" not in file.encoded() and file.encoded().isascii()


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_seed_texts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"seed{suffix}"
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"text": ["one", "two"]}), path)
    else:
        data = b'{"text": "one"}\n{"text": "two", "url": 3}\n'
        path.write_bytes({".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}.get(suffix, bytes)(data))
    assert seed_files(CorpusConfig(seed_paths=[str(tmp_path)])) == [path]
    assert read_texts([tmp_path], "corpus.seed_paths") == read_texts([str(path)], "k") == ["one", "two"]


@pytest.mark.parametrize("line", ['{"no": 1}', '{"html": "<p>x</p>"}', "{", '["text"]'])
def test_seeds_must_have_text(tmp_path: Path, line: str) -> None:
    (tmp_path / "seed.jsonl").write_text('{"text": "good"}\n' + line + "\n")
    with pytest.raises(DataError, match=r"corpus\.seed_paths: seed\.jsonl:2: .*'text'"):
        read_texts([tmp_path / "seed.jsonl"], "corpus.seed_paths")


def test_remote_seeds_are_refused_before_work() -> None:
    with pytest.raises(ConfigError, match=r"corpus\.seed_paths: s3://b/seed\.jsonl.*Copy"):
        seed_files(CorpusConfig(seed_paths=["s3://b/seed.jsonl"]))


def test_pages_hold_only_text_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(r'{"url": "\udc80", "text": "\udc80"}' + "\n" + r'["\udc80"]' + "\n{\\udc80\n")
    for item in items("jsonl", tmp_path / "a.jsonl"):
        said = (item.url, item.source, str(item.body)) if isinstance(item, RawPage) else (item.url, item.detail)
        "".join(said).encode()
