"""Hugging Face data sets: the hub's layouts on this machine, and the hub's own interface as a small server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reader_files import in_shards, page_names, reasons

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import input_files, listing, local_inputs, plan_shards
from dsm_repro.corpus.readers.hf import DataSet, parsed


def config(*paths: object) -> CorpusConfig:
    return CorpusConfig(reader="hf", paths=[str(path) for path in paths])


def columns(start: int, stop: int) -> dict[str, list[str]]:
    return {"url": [f"http://e.example/{n}" for n in range(start, stop)], "text": ["x"] * (stop - start)}


def read(*paths: object) -> list[RawPage | Drop]:
    return [item for shard in in_shards("hf", [str(path) for path in paths], 10**6) for item in shard]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the hub's repositories are laid out: the split is in the files' names."""
    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    pq.write_table(pa.table(columns(0, 3)), data / "train-00000-of-00002.parquet")
    pq.write_table(pa.table(columns(3, 5)), data / "train-00001-of-00002.parquet")
    pq.write_table(pa.table(columns(5, 6)), data / "test-00000-of-00001.parquet")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("open-web-math/open-web-math", DataSet("open-web-math/open-web-math", None, None, "train")),
        ("a/b:c-4plus@v1.0?split=test", DataSet("a/b", "c-4plus", "v1.0", "test")),
        ("a/b@refs/convert/parquet", DataSet("a/b", None, "refs/convert/parquet", "train")),
        ("b?split=test", DataSet("b", None, None, "test")),
    ],
)
def test_spelling(spec: str, expected: DataSet) -> None:
    assert parsed(spec, "corpus.paths") == expected


@pytest.mark.parametrize("spec", ["", ":c", "a/b?", "a/b?part=x", "a/b@?split=x", "hf://datasets/a/b"])
def test_wrong_spelling_says_the_right_one(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.paths: .*write ID\[:CONFIG\]\[@REVISION\]\[\?split=NAME\]"):
        plan_shards(config(spec), 1_000)


def test_folder_with_a_colon_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert parsed(f"{tmp_path}/a:b?split=test", "k") == DataSet(f"{tmp_path}/a:b", None, None, "test")


def test_folder_of_parquet_has_splits(folder: Path) -> None:
    assert page_names(read(folder)) == ["0", "1", "2", "3", "4"]
    assert page_names(read(f"{folder}?split=test")) == ["5"]
    assert [item.source for item in read(f"{folder}?split=test")] == ["test-00000-of-00001.parquet:1"]
    assert len(local_inputs(config(folder))) == 2
    assert listing(config(folder)) == [{"name": f"train-0000{n}-of-00002.parquet"} for n in (0, 1)]
    with pytest.raises(ConfigError, match=r"corpus\.paths: .*\?split=dev: the splits are train, test"):
        read(f"{folder}?split=dev")


def test_folder_of_json_lines(tmp_path: Path) -> None:
    rows = [json.dumps({"url": f"http://e.example/{n}", "text": "x"}) for n in range(3)]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join([*rows, "{"]).encode()))
    found = read(tmp_path)
    assert page_names(found) == ["0", "1", "2"] and reasons(found) == ["bad_json"]


def test_configs_are_those_of_the_card(folder: Path) -> None:
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: small\n  default: true\n  data_files: data/test-*\n"
        "- config_name: large\n  data_files:\n  - split: train\n    path: data/train-*\n---\n"
    )
    assert page_names(read(folder)) == ["5"]
    assert page_names(read(f"{folder}:large")) == ["0", "1", "2", "3", "4"]
    with pytest.raises(ConfigError, match=r"corpus\.paths: .*huge"):
        read(f"{folder}:huge")


def test_damage_costs_what_is_damaged(folder: Path) -> None:
    (folder / "data" / "train-00000-of-00002.parquet").write_bytes(b"PAR1 not really")
    found = read(folder)
    assert page_names(found) == ["3", "4"] and reasons(found) == ["parquet_damaged"]


def test_saved_sets(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    train = Dataset.from_dict(columns(0, 2_500))
    train.select(range(0, 2_500, 5)).save_to_disk(tmp_path / "one", num_shards=2)
    DatasetDict({"train": train, "test": train.select(range(3))}).save_to_disk(tmp_path / "two")
    assert page_names(read(tmp_path / "one")) == [str(n) for n in range(0, 2_500, 5)]
    assert page_names(read(f"{tmp_path}/two?split=test")) == ["0", "1", "2"]
    whole = read(tmp_path / "two")
    assert page_names(whole) == [str(n) for n in range(2_500)]
    assert whole[-1].source == "data-00000-of-00001.arrow:2500"
    # a set is one file here: it is cut at its record batches
    shards = in_shards("hf", [tmp_path / "two"], 20_000)
    assert len(shards) == 3 and [item for shard in shards for item in shard] == whole
    for path, splits in ((f"{tmp_path}/one?split=test", "train"), (f"{tmp_path}/two?split=dev", "train, test")):
        with pytest.raises(ConfigError, match=rf"corpus\.paths: .*the splits are {splits}"):
            read(path)
    (tmp_path / "one" / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"corpus\.paths: .*one: not as save_to_disk leaves it"):
        read(tmp_path / "one")


def test_other_formats_are_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url,text\nhttp://e.example/0,x\n")
    with pytest.raises(ConfigError, match=r"corpus\.paths: .*a\.csv: only parquet.*@refs/convert/parquet"):
        input_files(config(tmp_path))


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.paths: .*no local folder of that name with data in it"):
        input_files(config(tmp_path))


COMMIT = "f" * 40
RESOLVE = f"/datasets/a/b/resolve/{COMMIT}/"


class Hub(BaseHTTPRequestHandler):
    """What of the hub's interface a data set without a card needs; ``files`` is the content of ``a/b``."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        # the revision v1 is the commit
        path = path.replace("/revision/v1", f"/revision/{COMMIT}").replace("/resolve/v1/", f"/resolve/{COMMIT}/")
        info, tree = f"/api/datasets/a/b/revision/{COMMIT}", f"/api/datasets/a/b/tree/{COMMIT}"
        if path == info:
            siblings = [{"rfilename": name} for name in self.files]
            self._json({"id": "a/b", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})
        elif path.startswith(tree):
            self._json(self._tree(path.removeprefix(tree).strip("/"), "recursive=true" in query.lower()))
        elif path.startswith(RESOLVE):
            name = path.removeprefix(RESOLVE)
            self._send(200 if name in self.files else 404, self.files.get(name, b""), "EntryNotFound")
        else:
            self._send(404, b"", "RepoNotFound")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        wanted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._json([entry for entry in self._tree("", True) if entry["path"] in wanted])

    def _tree(self, folder: str, recursive: bool) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for name, data in self.files.items():
            if not name.startswith(f"{folder}/" if folder else ""):
                continue
            rest = name.removeprefix(f"{folder}/" if folder else "").split("/")
            if len(rest) == 1 or recursive:
                found.append({"type": "file", "path": name, "size": len(data), "oid": "0" * 40})
            if len(rest) > 1:
                entry = {"type": "directory", "path": "/".join([*filter(None, [folder]), rest[0]]), "oid": "0" * 40}
                found += [entry] if entry not in found else []
        return found

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), "", "application/json")

    def _send(self, status: int, data: bytes, error: str, kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"0"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 404:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(folder: Path) -> Iterator[str]:
    Hub.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as http:
        thread = Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def in_process(path: str, endpoint: str, home: Path) -> dict[str, object]:
    """Listing and pages of a data set, read by a process whose hub is ``endpoint``."""
    program = (
        "import json, sys\n"
        "from dsm_repro.config.errors import DsmError\n"
        "from dsm_repro.config.corpus_schema import CorpusConfig\n"
        "from dsm_repro.corpus.readers import listing, plan_shards, read_shard\n"
        "config = CorpusConfig(reader='hf', paths=[sys.argv[1]])\n"
        "try:\n"
        "    pages = [[p.url, p.source] for s in plan_shards(config, 10**6)"
        " for p in read_shard('hf', s.inputs, config.extraction)]\n"
        "    print(json.dumps({'listing': listing(config), 'pages': pages}))\n"
        "except DsmError as error:\n"
        "    print(json.dumps({'error': type(error).__name__ + ': ' + str(error)}))\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    environment["USE_TORCH"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", program, path], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_hub_set_is_read_at_one_commit(hub: str, tmp_path: Path) -> None:
    found = in_process("a/b@v1", hub, tmp_path)
    assert found.get("pages") == [
        [f"http://e.example/{n}", f"train-0000{n // 3}-of-00002.parquet:{n % 3 + 1}"] for n in range(5)
    ], found
    said = found["listing"]
    assert isinstance(said, list)
    assert [entry["address"] for entry in said] == [
        f"hf://datasets/a/b@{COMMIT}/data/train-0000{n}-of-00002.parquet" for n in (0, 1)
    ]
    assert all(entry["size"] == len(Hub.files[entry["address"].partition(f"{COMMIT}/")[2]]) for entry in said)


def test_set_that_the_hub_does_not_have(hub: str, tmp_path: Path) -> None:
    error = str(in_process("a/c", hub, tmp_path)["error"])
    assert error.startswith("DataError: corpus.paths: a/c: no local folder of that name") and "HF_TOKEN" in error
