"""Shards: published whole or not at all, tied to what made them, the same bytes on every runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.execution_schema import ShardsConfig
from dsm_repro.corpus.shards import runner
from dsm_repro.corpus.shards.datatrove import DatatroveRunner
from dsm_repro.corpus.shards.pool import PoolRunner
from dsm_repro.corpus.shards.step import MANIFEST, Runner, Shard, is_published, publish, read_counts

SHARDS = [Shard(number, (f"input-{number}", "b")) for number in range(5)]


@dataclass(frozen=True)
class Repeat:
    """Writes its shard's inputs ``times`` times; notes each call in ``calls``."""

    times: int
    calls: str = ""
    fail_on: int = -1
    name = "repeat"
    version = 1

    def run(self, shard: Shard, out: Path) -> dict[str, int]:
        if self.calls:
            (Path(self.calls) / f"{shard.name}-{time.time_ns()}").touch()
        (out / "text.txt").write_text("".join(shard.inputs) * self.times)
        if shard.number == self.fail_on:
            raise ValueError("bad shard")
        return {"repeats": self.times}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for shard in SHARDS
        for path in sorted((folder / shard.name).rglob("*"))
    }


@pytest.mark.parametrize("other", [PoolRunner(2), DatatroveRunner("local", 1), DatatroveRunner("local", 2)], ids=str)
def test_every_runner_gives_the_same_bytes(other: Runner, tmp_path: Path) -> None:
    if isinstance(other, DatatroveRunner):
        pytest.importorskip("datatrove", reason="the extra `datatrove` is not installed")
    PoolRunner(1)(Repeat(3), SHARDS, tmp_path / "one", lambda done, total: None)
    other(Repeat(3), SHARDS, tmp_path / "other", lambda done, total: None)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    assert (tmp_path / "one" / "00002" / "text.txt").read_text() == "input-2b" * 3
    assert read_counts(tmp_path / "one" / "00002") == {"repeats": 3}


def test_what_is_published_is_not_computed_again(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    for _ in range(2):
        PoolRunner(1)(Repeat(1, str(calls)), SHARDS, tmp_path / "out", lambda done, total: None)
    assert len(list(calls.iterdir())) == len(SHARDS)


@pytest.mark.parametrize("damage", ["other fields", "other inputs", "edited", "gone", "manifest"])
def test_a_shard_of_something_else_is_made_anew(damage: str, tmp_path: Path) -> None:
    step, shard = Repeat(2), SHARDS[0]
    publish(step, shard, tmp_path)
    assert is_published(step, shard, tmp_path)
    if damage == "other fields":
        step = Repeat(3)
    elif damage == "other inputs":
        shard = Shard(0, ("else",))
    elif damage == "edited":
        (tmp_path / "00000" / "text.txt").write_text("forged")
    elif damage == "gone":
        (tmp_path / "00000" / "text.txt").unlink()
    else:
        (tmp_path / "00000" / MANIFEST).write_text("{")
    assert not is_published(step, shard, tmp_path)
    publish(step, shard, tmp_path)
    assert (tmp_path / "00000" / "text.txt").read_text() == "".join(shard.inputs) * step.times


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_leaves_no_half_shard_and_the_others_stay(workers: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bad shard"):
        PoolRunner(workers)(Repeat(1, fail_on=2), SHARDS, tmp_path, lambda done, total: None)
    assert not (tmp_path / "00002").exists()
    assert (tmp_path / "00000" / MANIFEST).exists()


def test_kill_9_and_again_gives_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from dsm_repro.corpus.shards.pool import PoolRunner\n"
        "from test_shards import SHARDS, Repeat\n"
        "class Slow(Repeat):\n"
        "    def run(self, shard, out):\n"
        "        counts = super().run(shard, out)\n"
        "        time.sleep(0.15)\n"
        "        return counts\n"
        "PoolRunner(1)(Slow(3), SHARDS, Path(sys.argv[1]), lambda done, total: None)\n"
    )
    here = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "killed")], env={**os.environ, "PYTHONPATH": here}
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "00001").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "00004").exists()
    for name in ("killed", "whole"):
        PoolRunner(1)(Repeat(3), SHARDS, tmp_path / name, lambda done, total: None)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not [path for path in (tmp_path / "killed").iterdir() if path.name.startswith(".")]


def test_a_runner_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"execution\.shards\.runner=spark: use one of pool, datatrove"):
        runner(ShardsConfig(runner="spark"), 1)
    pytest.importorskip("datatrove", reason="the extra `datatrove` is not installed")
    with pytest.raises(ConfigError, match=r"execution\.shards\.executor=dask"):
        DatatroveRunner("dask")(Repeat(1), SHARDS, tmp_path, lambda done, total: None)


def test_arguments_that_datatrove_refuses_are_named(tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="the extra `datatrove` is not installed")
    with pytest.raises(ConfigError, match=r"execution\.shards\.executor_options=.*SlurmPipelineExecutor"):
        DatatroveRunner("slurm", 1, {"colour": 3})(Repeat(1), SHARDS, tmp_path, lambda done, total: None)


def test_the_manifest_names_what_it_was_made_from(tmp_path: Path) -> None:
    publish(Repeat(1), SHARDS[1], tmp_path)
    manifest = json.loads((tmp_path / "00001" / MANIFEST).read_text())
    assert manifest["inputs"] == ["input-1", "b"] and set(manifest["files"]) == {"text.txt"}
