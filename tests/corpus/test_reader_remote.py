"""Files at fsspec addresses: the same pages as from this machine, and a faulty network is no damaged file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from reader_files import GUARDS, in_shards, items, page_names, write_warc

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import input_files, listing, local_inputs, plan_shards, read_shard, remote
from dsm_repro.pipeline.identity import canonical_json

ROW = b'{"url": "http://e.example/%d", "text": "x"}\n'


def config(reader: str, *paths: str) -> CorpusConfig:
    return CorpusConfig(reader=reader, paths=list(paths))


@pytest.fixture(autouse=True)
def forget() -> None:
    remote.find_remote.cache_clear()


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *arguments: None  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def faults(memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many of the next transfers break off: with an ``error``, or ``silent``."""
    left = {"error": 0, "silent": 0}
    copy = MemoryFileSystem.get_file

    def get_file(files: MemoryFileSystem, rpath: str, lpath: str, **options: Any) -> None:
        copy(files, rpath, lpath, **options)
        for kind in left:
            if left[kind]:
                left[kind] -= 1
                with Path(lpath).open("r+b") as file:
                    file.truncate(10)
                if kind == "error":
                    raise ConnectionError("reset by peer")

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    monkeypatch.setattr(remote, "RETRY_PAUSES", (0.0, 0.0))
    return left


def test_memory_globs_and_folders_as_local_ones(memory: MemoryFileSystem) -> None:
    for place, count in (("one", 2), ("two", 3)):
        memory.pipe(f"/crawl/{place}/a.jsonl", b"".join(ROW % n for n in range(count)))
    memory.pipe("/crawl/one/b.txt", b"no page")
    for pattern in ("memory://crawl", "memory://crawl/*/*.jsonl"):
        found = [item for shard in in_shards("jsonl", [pattern], 100) for item in shard]
        assert [item.source for item in found] == ["one/a.jsonl:1", "one/a.jsonl:2"] + [
            f"two/a.jsonl:{n}" for n in (1, 2, 3)
        ]
        assert all(isinstance(item, RawPage) for item in found)


def test_identity_of_a_remote_file_changes_with_it(memory: MemoryFileSystem) -> None:
    made = config("jsonl", "memory://crawl")
    memory.pipe("/crawl/a.jsonl", ROW % 1)
    before = listing(made)
    (entry,) = before
    assert (entry["name"], entry["address"], entry["size"]) == ("a.jsonl", "memory:///crawl/a.jsonl", len(ROW % 1))
    assert local_inputs(made) == ()
    canonical_json(before)
    memory.pipe("/crawl/a.jsonl", ROW % 2)
    assert listing(made) == before  # one run sees one state
    remote.find_remote.cache_clear()
    assert listing(made) != before


def test_digests_are_preferred_to_times() -> None:
    stamp = remote._stamp
    assert stamp({"ETag": '"a1"', "LastModified": 3, "size": 1}) == (("etag", '"a1"'),)
    assert stamp({"Last-Modified": "today", "ETag": None}) == (("last-modified", "today"),)
    assert stamp({"name": "x", "size": 1}) == ()


def test_web_server(tmp_path: Path, server: str) -> None:
    write_warc(tmp_path / "a.warc.gz")
    (tmp_path / "page.html").write_text("<p>one</p>")
    here = items("warc", tmp_path / "a.warc.gz")
    (file,) = input_files(config("warc", f"{server}/a.warc.gz"))
    assert file.size == (tmp_path / "a.warc.gz").stat().st_size and "last-modified" in file.stamp
    assert in_shards("warc", [f"{server}/a.warc.gz"], 1_000) == [here]
    # a server's own list of its folder
    assert in_shards("warc", [f"{server}/*.warc.gz"], 1_000) == [here]
    ((page,),) = in_shards("html", [f"{server}/page.html"], 1_000)
    assert isinstance(page, RawPage) and page.url == f"{server}/page.html"


def test_recovery_seeks_in_the_copy(tmp_path: Path, server: str) -> None:
    offsets = write_warc(tmp_path / "a.warc.gz")
    data = bytearray((tmp_path / "a.warc.gz").read_bytes())
    data[offsets[2] + 60] ^= 0xFF
    (tmp_path / "a.warc.gz").write_bytes(data)
    (found,) = in_shards("warc", [f"{server}/a.warc.gz"], 1_000)
    assert page_names(found) == ["0", "1", "3", "4"] and found == items("warc", tmp_path / "a.warc.gz")


def test_files_inside_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "crawl.zip", "w") as archive:
        for name in ("a", "b"):
            archive.writestr(f"in/{name}.jsonl", ROW % 1)
    pattern = f"zip://in/*.jsonl::file://{tmp_path}/crawl.zip"
    entry = listing(config("jsonl", pattern))[0]
    assert entry["address"] == f"zip://in/a.jsonl::file://{tmp_path}/crawl.zip" and "crc" in entry["stamp"]
    assert [item.source for shard in in_shards("jsonl", [pattern], 10**6) for item in shard] == [
        "a.jsonl:1",
        "b.jsonl:1",
    ]


@pytest.mark.parametrize(
    ("fault", "told"), [("error", "reset by peer"), ("silent", f"10 bytes came, {5 * len(ROW % 1)} were listed")]
)
def test_a_transfer_that_breaks_off_is_tried_again(
    memory: MemoryFileSystem, faults: dict[str, int], fault: str, told: str
) -> None:
    memory.pipe("/a.jsonl", (ROW % 1) * 5)
    (shard,) = plan_shards(config("jsonl", "memory://a.jsonl"), 1_000)
    faults[fault] = 2
    assert len(list(read_shard("jsonl", shard.inputs, GUARDS))) == 5
    faults[fault] = 3
    with pytest.raises(DataError, match=rf"memory:///a\.jsonl.*{told}.*TMPDIR"):
        list(read_shard("jsonl", shard.inputs, GUARDS))


def test_nothing_stays_behind(memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while the copy is read, so that a killed process leaves nothing."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory.pipe("/a.jsonl", ROW % 1 + ROW % 2)
    (shard,) = plan_shards(config("jsonl", "memory://a.jsonl"), 1_000)
    pages = read_shard("jsonl", shard.inputs, GUARDS)
    assert not isinstance(next(pages), Drop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "error", "told"),
    [
        ("memory://nowhere/a.jsonl", DataError, "no such file"),
        ("memory://nowhere/*.jsonl", DataError, "no such file"),
        ("http://127.0.0.1:9/a.jsonl", DataError, "Cannot connect"),
        ("tape://a.jsonl", ConfigError, "Protocol not known"),
        ("simplecache::memory://a.jsonl", ConfigError, "leave simplecache:: out"),
        ("zip://a.jsonl::file:///nowhere.zip", DataError, "nowhere.zip"),
    ],
)
def test_addresses_that_cannot_be_read_stop_before_work(address: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=rf"corpus\.paths: {address.partition('*')[0]}.*({told})"):
        plan_shards(config("jsonl", address), 1_000)


def test_missing_backend_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ConfigError, match=r"corpus\.paths: s3://b/a\.jsonl: Install s3fs"):
        plan_shards(config("jsonl", "s3://b/a.jsonl"), 1_000)
