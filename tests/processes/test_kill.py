"""Kill -9 anywhere, run again: the same bytes, and nothing half-written was ever there."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy

from dsm_repro.config.container import from_container
from dsm_repro.pipeline import progress, provenance, worker
from dsm_repro.pipeline.progress import read_progress
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import Spec, run_spec

WORKER = [sys.executable, "-m", "dsm_repro.pipeline.worker"]
#: everything by which the worker and the toy stage change the disk
CALLS = [(os, n) for n in ("mkdir", "open", "fsync", "rename", "replace", "unlink", "rmdir")] + [(io, "open")]
STEPS = 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    spec = toy.train(tmp_path_factory.mktemp("undisturbed"), STEPS)
    run_spec(spec)
    provenance.git_commit()  # remembered, so that forked workers start no process
    return toy.results(Store(spec.store).path("sft", spec.key))


@pytest.fixture
def _same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has the same moments, and soon: progress is not written by the clock, the config typed once."""
    typed = from_container(toy.train(Path(), STEPS).config)
    monkeypatch.setattr(worker, "from_container", lambda container: typed)
    monkeypatch.setattr(progress, "MIN_SECONDS_BETWEEN_WRITES", 1e9)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # still a moment; it is power cuts that need it done


def _run_and_die(spec: Spec, at: int) -> int | None:
    """Run ``spec`` in a fork that kills itself at the ``at``-th moment: the moments there were, None if killed.

    A moment is before each call that changes the disk, and after each opening of a file to be written
    (it is truncated by then, and nothing is written yet).
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        moments = 0

        def moment() -> None:
            nonlocal moments
            moments += 1
            if moments == at:
                os.kill(os.getpid(), signal.SIGKILL)

        def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                moment()
                result = function(*args, **kwargs)
                if function is opened and "w" in result.mode:
                    moment()
                return result

            return call

        opened = io.open
        for module, name in CALLS:
            setattr(module, name, deadly(getattr(module, name)))
        status = 1
        try:
            run_spec(spec)
            os.write(writer, str(moments).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reader) as f:
        told = f.read()
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return int(told) if told else None


def _nothing_half_written(spec: Spec) -> bool:
    """True if the artifact is there, and then it is whole."""
    store = Store(spec.store)
    there = store.path("sft", spec.key).exists()
    assert store.has("sft", spec.key) == there
    if there:
        store.verify("sft", spec.key)
    return there


def _kill_at_every_moment(template: Path, folder: Path, undisturbed: dict[str, bytes]) -> None:
    """From a copy of the store ``template``: killed once at each moment, run again, and compared."""

    def copy(name: str) -> Spec:
        shutil.copytree(template, folder / name)
        return toy.train(folder / name, STEPS)

    moments = _run_and_die(copy("whole"), at=-1)
    assert moments is not None and moments > 30
    published = []
    for at in range(1, moments + 1):
        spec = copy(str(at))
        assert _run_and_die(spec, at) is None
        published.append(_nothing_half_written(spec))
        assert run_spec(spec) == ("hit" if published[-1] else "done")
        store = Store(spec.store)
        artifact = store.path("sft", spec.key)
        assert toy.results(artifact) == undisturbed, f"killed at moment {at} of {moments}"
        assert sorted(p.name for p in artifact.parent.iterdir()) == [spec.key, f"{spec.key}.lock"]
    assert published == sorted(published) and {True, False} == set(published)


@pytest.mark.usefixtures("_same_moments")
def test_killed_at_every_moment(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    (tmp_path / "empty").mkdir()
    _kill_at_every_moment(tmp_path / "empty", tmp_path, undisturbed)


@pytest.mark.usefixtures("_same_moments")
def test_killed_at_every_moment_of_the_run_that_resumes(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    spec = toy.train(tmp_path / "killed", STEPS)
    store = Store(spec.store)
    at = 0
    while len(toy.snapshot(store.root)) == 0 or not _past_a_checkpoint(store, spec):
        shutil.rmtree(store.root, ignore_errors=True)
        at += 1
        assert _run_and_die(spec, at) is None
    _kill_at_every_moment(store.root, tmp_path, undisturbed)


def _past_a_checkpoint(store: Store, spec: Spec) -> bool:
    """Metrics were logged after the last checkpoint: what a resuming run has to drop."""
    staging = store.staging("sft", spec.key)
    resume, metrics = staging.scratch / "resume.json", staging.out / "metrics.jsonl"
    return resume.exists() and len(metrics.read_text().splitlines()) > json.loads(resume.read_text())["step"]


@pytest.mark.usefixtures("_same_moments")
def test_killed_again_and_again(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    spec = toy.train(tmp_path, STEPS)
    for at in range(9, 60, 7):
        _run_and_die(spec, at)
        _nothing_half_written(spec)
    run_spec(spec)
    assert toy.results(Store(spec.store).path("sft", spec.key)) == undisturbed


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_killed_worker_process_goes_on_from_its_checkpoint(
    tmp_path: Path, undisturbed: dict[str, bytes], after: int
) -> None:
    spec, store = toy.train(tmp_path / "store", STEPS), Store(tmp_path / "store")
    spec.write(tmp_path / "spec.json")
    runs = tmp_path / "runs"
    slow = toy.environment(TOY_SECONDS_PER_STEP="0.1", TOY_RUNS=str(runs))
    worker = subprocess.Popen([*WORKER, str(tmp_path / "spec.json")], env=slow)
    metrics = store.staging("sft", spec.key).out / "metrics.jsonl"
    deadline = time.monotonic() + 30
    while not metrics.exists() or len(metrics.read_text().splitlines()) < after:
        assert time.monotonic() < deadline and worker.poll() is None
        time.sleep(0.005)
    assert [p["pid"] for p in read_progress(store.root)] == [worker.pid]
    worker.kill()
    worker.wait()
    assert not _nothing_half_written(spec)
    assert read_progress(store.root) == []
    os.environ["TOY_RUNS"] = str(runs)
    try:
        assert run_spec(spec) == "done"
    finally:
        del os.environ["TOY_RUNS"]
    assert toy.results(store.path("sft", spec.key)) == undisturbed
    first, second = (int(line) for line in runs.read_text().split())
    assert first == 0 and second == after - after % 2


def test_processes_racing_for_one_key_run_the_stage_once(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    spec = toy.train(tmp_path / "store", STEPS)
    spec.write(tmp_path / "spec.json")
    runs = tmp_path / "runs"
    slow = toy.environment(TOY_SECONDS_PER_STEP="0.05", TOY_RUNS=str(runs))
    workers = [
        subprocess.Popen([*WORKER, str(tmp_path / "spec.json")], env=slow, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = sorted(worker.communicate(timeout=60)[0].split()[-1] for worker in workers)
    assert said == ["done", "hit", "hit"]
    assert runs.read_text() == "0\n"
    assert toy.results(Store(spec.store).path("sft", spec.key)) == undisturbed


def test_a_failing_worker_process_exits_with_one_line(tmp_path: Path) -> None:
    spec = toy.read(tmp_path / "store", toy.train(tmp_path / "store"))
    spec.write(tmp_path / "spec.json")
    ended = subprocess.run(
        [*WORKER, str(tmp_path / "spec.json")], env=toy.environment(), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1 and ended.stderr.startswith("StoreError: ") and ended.stderr.count("\n") == 1
    note = Store(spec.store).read_error("evaluate", spec.key)
    assert note is not None and ended.stderr == f"StoreError: {note['message']}\n"
