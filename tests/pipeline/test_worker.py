"""One stage, run once, whoever asks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from dsm_repro.config.errors import ConfigError, DataError, StoreError
from dsm_repro.pipeline.identity import explain
from dsm_repro.pipeline.progress import ProgressWriter, read_progress
from dsm_repro.pipeline.store import DESCRIPTION_FIELDS, Store
from dsm_repro.pipeline.worker import THREAD_VARIABLES, Spec, load_stage, main, run_spec


@pytest.fixture(autouse=True)
def _restored_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")


def test_a_stage_runs_once_and_is_a_hit_after(tmp_path: Path) -> None:
    spec = toy.train(tmp_path)
    assert [run_spec(spec), run_spec(spec)] == ["done", "hit"]
    child = toy.read(tmp_path, spec)
    assert [run_spec(child), run_spec(child)] == ["done", "hit"]
    store = Store(tmp_path)
    record = json.loads((store.path("evaluate", child.key) / "record.json").read_text())
    assert record == {"parent": json.loads((store.path("sft", spec.key) / "record.json").read_text())["value"]}
    assert read_progress(tmp_path) == []


def test_the_manifest_tells_what_was_made_from_what_and_where(tmp_path: Path) -> None:
    spec = replace(toy.train(tmp_path), threads=2)
    run_spec(spec)
    child = toy.read(tmp_path, spec)
    run_spec(child)
    manifest = Store(tmp_path).load_manifest("sft", spec.key)
    assert manifest["key"] == spec.key and manifest["digest"].startswith(spec.key)
    assert manifest["identity"] == {"steps": 10, "seed": 1} and manifest["seeds"]["sft"] == 1
    assert manifest["threads"] == 2 and os.environ["OMP_NUM_THREADS"] == "1"
    assert manifest["libraries"]["torch"] and manifest["hardware"]["cores"] >= 1 and manifest["seconds"] >= 0
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    assert manifest["lock"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    assert manifest["started"] <= manifest["finished"]
    assert {"cost.json", "record.json", "metrics.jsonl", "model/weights.bin"} == manifest["files"].keys()
    cost = json.loads((Store(tmp_path).path("sft", spec.key) / "cost.json").read_text())
    assert cost["flops"] == {"train": 100.0} and cost["seconds"] > 0
    assert Store(tmp_path).load_manifest("evaluate", child.key)["parents"] == {"sft": spec.key}


def test_manifests_explain_why_two_keys_differ(tmp_path: Path) -> None:
    specs = [toy.train(tmp_path, seed=seed) for seed in (1, 2)]
    for spec in specs:
        run_spec(spec)
    a, b = (Store(tmp_path).load_manifest("sft", spec.key) for spec in specs)
    differing = explain({n: a[n] for n in DESCRIPTION_FIELDS}, {n: b[n] for n in DESCRIPTION_FIELDS})
    assert differing == [("identity.seed", 1, 2)]


def test_a_spec_survives_the_file(tmp_path: Path) -> None:
    spec = toy.train(tmp_path)
    spec.write(tmp_path / "spec.json")
    assert Spec.read(tmp_path / "spec.json") == spec


def test_an_edited_result_is_made_again_and_the_edited_one_kept(tmp_path: Path) -> None:
    spec, store = toy.train(tmp_path), Store(tmp_path)
    run_spec(spec)
    artifact = store.path("sft", spec.key)
    good = toy.results(artifact)
    (artifact / "record.json").write_text('{"value": 0}')
    assert run_spec(spec) == "done"
    assert toy.results(artifact) == good
    assert (artifact.with_name(f"{spec.key}.damaged-1") / "record.json").read_text() == '{"value": 0}'


def test_a_damaged_parent_is_never_read(tmp_path: Path) -> None:
    spec, store = toy.train(tmp_path), Store(tmp_path)
    run_spec(spec)
    weights = store.path("sft", spec.key) / "model" / "weights.bin"
    weights.write_bytes(b"9" + weights.read_bytes()[1:])
    child = toy.read(tmp_path, spec)
    with pytest.raises(StoreError, match=r"weights.bin"):
        run_spec(child)
    assert not store.has("evaluate", child.key) and not store.has("sft", spec.key)
    assert weights.parent.parent.with_name(f"{spec.key}.damaged-1").is_dir()
    assert [run_spec(spec), run_spec(child)] == ["done", "done"]


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    child = toy.read(tmp_path, toy.train(tmp_path))
    with pytest.raises(StoreError, match=f"sft/{child.parents['sft']}"):
        run_spec(child)


def test_an_error_is_noted_raised_and_forgotten_after_a_good_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, store = toy.train(tmp_path), Store(tmp_path)
    run_spec(spec)
    child = toy.read(tmp_path, spec)
    monkeypatch.setenv("TOY_FAIL", "the reason")
    with pytest.raises(ValueError, match="the reason"):
        run_spec(child)
    note = store.read_error("evaluate", child.key)
    assert note is not None and note["message"] == "the reason" and note["type"] == "ValueError"
    assert "_read_parent" in note["traceback"]
    assert not store.has("evaluate", child.key) and read_progress(tmp_path) == []
    monkeypatch.delenv("TOY_FAIL")
    assert run_spec(child) == "done"
    assert store.read_error("evaluate", child.key) is None


def test_a_full_disk_in_a_stage_is_told_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = toy.train(tmp_path)
    run_spec(spec)
    before = toy.snapshot(Store(tmp_path).path("sft", spec.key))
    child = toy.read(tmp_path, spec)
    monkeypatch.setenv("TOY_FULL_DISK", "1")
    with pytest.raises(StoreError, match=r"samples.jsonl: the disk is full.*DSM_STORE"):
        run_spec(child)
    assert toy.snapshot(Store(tmp_path).path("sft", spec.key)) == before
    staging = Store(tmp_path).staging("evaluate", child.key)
    assert not staging.out.exists()  # no run goes on from it, and its room is needed
    (staging.scratch / "resume.json").write_text("{}")
    with pytest.raises(StoreError, match="the disk is full"):
        run_spec(child)
    assert (staging.out / "half.txt").exists()  # what a checkpoint stands on is kept
    (staging.scratch / "resume.json").unlink()
    monkeypatch.delenv("TOY_FULL_DISK")
    assert run_spec(child) == "done"


def test_a_checkpoint_note_that_cannot_be_read_starts_the_stage_afresh(tmp_path: Path) -> None:
    spec, store = toy.train(tmp_path / "a"), Store(tmp_path / "a")
    staging = store.staging("sft", spec.key)
    for folder, name in ((staging.scratch, "resume.json"), (staging.out, "metrics.jsonl")):
        folder.mkdir(parents=True)
        (folder / name).write_text('{"step": 3, "val')
    run_spec(spec)
    run_spec(toy.train(tmp_path / "b"))
    assert toy.results(store.path("sft", spec.key)) == toy.results(Store(tmp_path / "b").path("sft", spec.key))


def test_a_spec_that_no_longer_fits_its_key_is_refused(tmp_path: Path) -> None:
    spec = toy.train(tmp_path)
    with pytest.raises(DataError, match=spec.key):
        run_spec(replace(spec, config={**spec.config, "seeds": {"sft": 9}}))
    assert not Store(tmp_path).has("sft", spec.key)


@pytest.mark.parametrize("path", ["toy_stages:NONE", "toy_stages", "no.such.module:STAGE", "json:dumps"])
def test_an_import_path_that_names_no_stage_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        load_stage(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stage": "sft", "colour": 1}'])
def test_a_file_that_is_no_spec_ends_with_one_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    assert main([str(path)]) == 1
    error = capsys.readouterr().err
    assert str(path) in error and "Traceback" not in error
    assert main([str(tmp_path / "gone.json")]) == 1
    assert "gone.json" in capsys.readouterr().err


def test_the_worker_loads_no_heavy_library() -> None:
    code = (
        "import sys, dsm_repro.pipeline.worker; "
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'numpy', 'scipy', 'sympy', 'matplotlib'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_progress_is_throttled_seen_and_gone_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    replace_file = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (writes.append(b), replace_file(a, b)))
    with ProgressWriter(tmp_path, "rl", "k") as progress:
        start = time.monotonic()
        for step in range(200):
            progress(step + 7, 300, "steps")
        assert len(writes) <= 2 + 2 * (time.monotonic() - start)
        (seen,) = read_progress(tmp_path)
        assert (seen["stage"], seen["key"], seen["total"], seen["unit"]) == ("rl", "k", 300, "steps")
        assert seen["first_done"] == 7 and seen["pid"] == os.getpid()
    assert read_progress(tmp_path) == []


def test_progress_of_a_dead_process_is_passed_over(tmp_path: Path) -> None:
    progress = ProgressWriter(tmp_path, "rl", "k")
    progress(1, 2)
    state = json.loads(progress.path.read_text())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert len(read_progress(tmp_path)) == 1
    progress.path.write_text(json.dumps({**state, "pid": dead.pid}))
    assert read_progress(tmp_path) == []
    progress.path.write_text(json.dumps({**state, "pid": dead.pid, "host": "elsewhere"}))
    assert len(read_progress(tmp_path)) == 1
    progress.path.write_text(json.dumps({**state, "host": "elsewhere", "updated": state["updated"] - 10_000}))
    assert read_progress(tmp_path) == []
