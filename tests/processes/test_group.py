"""The processes of a stage, without any training: who writes, who ends whom, and what is told."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
import toy

from dsm_repro.pipeline import group
from dsm_repro.pipeline.progress import read_progress
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import run_spec


@pytest.fixture(autouse=True)
def _found_by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(toy.HERE), *sys.path]))


def test_the_first_process_alone_writes_the_artifact(tmp_path: Path) -> None:
    spec = toy.shared(tmp_path)
    assert [run_spec(spec), run_spec(spec)] == ["done", "hit"]
    artifact = Store(tmp_path).path("sft", spec.key)
    assert sorted(p.name for p in artifact.iterdir()) == ["cost.json", "manifest.json", "record.json", "written-by-0"]
    # of four threads
    assert json.loads((artifact / "record.json").read_text()) == {"processes": 2, "threads": 2}
    cost = json.loads((artifact / "cost.json").read_text())
    assert cost["flops"] == {"train": 7.0} and cost["seconds"] > 0
    manifest = Store(tmp_path).load_manifest("sft", spec.key)
    assert manifest["processes"] == 2 and spec.key == toy.shared(tmp_path, processes=1).key
    assert [p.name for p in artifact.parent.iterdir() if p.name.startswith(".")] == [] == read_progress(tmp_path)


def test_one_that_fails_ends_all_and_its_traceback_is_the_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_FAIL", "1")
    spec = toy.shared(tmp_path)
    started = time.monotonic()
    # the first process waits for it, and would for a minute
    with pytest.raises(group.MemberError, match=r"^this process has had enough$") as raised:
        run_spec(spec)
    assert time.monotonic() - started < 45
    note = Store(tmp_path).read_error("sft", spec.key)
    assert note is not None and note["type"] == type(raised.value).__name__ == "ZeroDivisionError"
    assert "in _share" in note["traceback"]
    monkeypatch.delenv("TOY_FAIL")
    assert run_spec(spec) == "done"


@pytest.mark.parametrize(
    ("number", "said"), [("KILL", r"SIGKILL \(out of memory is the usual"), ("ABRT", "SIGABRT and")]
)
def test_of_one_that_is_killed_and_says_nothing_the_signal_is_told(
    number: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_DIE", number)
    with pytest.raises(group.MemberError, match=rf"^a process that shared the stage was ended by {said}"):
        run_spec(toy.shared(tmp_path))


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "ended with status 3"), (255, "ended with status 255"), (134, "was ended by SIGABRT"),
     (-6, "was ended by SIGABRT"), (-40, "ended with status -40")],
)  # fmt: skip
def test_a_status_in_words(code: int, said: str) -> None:
    assert group.how_it_ended(code) == said


def test_a_thread_that_lets_go_late_does_not_undo_what_is_done(tmp_path: Path) -> None:
    """An interpreter that ends with its process group open takes the lock that such a thread waits for with it."""
    assert run_spec(toy.shared(tmp_path, processes=3, name="SPEAKING")) == "done"


def test_two_nodes_meet(tmp_path: Path) -> None:
    """``node_command`` starts what follows it once on each node: here twice on this one."""
    twice = "import subprocess as s, sys; p = [s.Popen(sys.argv[1:]) for _ in 'ab']; sys.exit(max(q.wait() for q in p))"
    spec = toy.shared(tmp_path, processes=1, nodes=2, node_command=[sys.executable, "-c", twice])
    run_spec(spec)
    artifact = Store(tmp_path).path("sft", spec.key)
    assert json.loads((artifact / "record.json").read_text())["processes"] == 2


def test_the_nodes_meet_where_the_config_says() -> None:
    spec = toy.config()
    execution = spec.execution
    execution.processes, execution.nodes, execution.rendezvous = 8, 4, "node-1:29500"
    execution.node_command = ["srun", "--nodes=4", "--ntasks-per-node=1"]
    words = group.command(execution, "key")
    assert words[:3] == execution.node_command and words[3:6] == [sys.executable, "-m", "dsm_repro.pipeline.agent"]
    said = dict(zip(words[6::2], words[7::2], strict=True))
    assert said["--nnodes"] == "4" and said["--nproc-per-node"] == "8" and said["--rdzv-endpoint"] == "node-1:29500"
    execution.nodes = 1
    assert "--standalone" in group.command(execution, "key")
