"""Several processes (gloo) that the worker starts for a training stage, against one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import shared_stages
import torch
from safetensors.torch import load_file

from dsm_repro.config.schema import Config
from dsm_repro.pipeline.preemption import Preempted
from dsm_repro.pipeline.progress import read_progress
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import Spec, run_spec

#: float32: sums in another order, through four steps of AdamW
NOISE = {"rel": 1e-4, "abs": 2e-5}
#: rates are 3e-3 and 1e-2: an optimiser that forgot its moments moves a weight by as much in one step
WEIGHT_NOISE = 2e-4
#: what tells times, or is a number of its own kind
OF_TIMES = ("times.jsonl", "cost.json", "manifest.json")


@pytest.fixture(autouse=True)
def _found_by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def made(store: Path, name: str, config: Config, processes: int, sharding: str = "none") -> Path:
    """The artifact of a run that nothing disturbs."""
    for spec in shared_stages.specs(store, name, config, processes, sharding):
        run_spec(spec)
    return Store(store).path(spec.stage, spec.key)


def close(left: Any, right: Any) -> bool:
    """Equal but for the last digits of numbers that are no counts."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(close(left[key], right[key]) for key in left)
    if isinstance(left, float) and isinstance(right, float):
        return left == pytest.approx(right, **NOISE)
    return bool(left == right)


def assert_same_training(one: Path, other: Path) -> None:
    """Two artifacts tell the same of every step, have the same record, and weights that agree."""
    told = [
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (one, other)
    ]
    assert len(told[0]) == len(told[1]) >= 4
    for mine, its in zip(*told, strict=True):
        assert close(mine, its), (mine, its)
    assert any(abs(line["loss"]) > 1e-3 for line in told[0])
    assert close(*(json.loads((folder / "record.json").read_text()) for folder in (one, other)))
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in (one, other)]
    assert names[0] == names[1]
    weights = [load_file(folder / "model" / "model.safetensors") for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=WEIGHT_NOISE)
    assert (one / "model" / "config.json").read_bytes() == (other / "model" / "config.json").read_bytes()


def assert_same_bytes(one: Path, other: Path) -> None:
    names = [sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file()) for folder in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        assert name.name in OF_TIMES or (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("alone"), "all", shared_stages.config(), 1)


def test_two_processes_train_as_one_does(alone: Path, tmp_path: Path) -> None:
    """Pre-training, fine-tuning of single and of packed examples, GRPO and PPO; and again from their checkpoints.

    What only draws answers leaves the same bytes: each of its batches is drawn by one process.
    """
    together = made(tmp_path, "all", shared_stages.config(), 2)
    assert together.name == alone.name
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (alone, together)]
    assert [manifest["processes"] for manifest in manifests] == [1, 2]
    for name, *_ in shared_stages.PARTS:
        same = assert_same_bytes if name in shared_stages.UNTRAINED else assert_same_training
        same(alone / name / "once", together / name / "once")
        assert_same_bytes(together / name / "once", together / name / "again")
    assert read_progress(tmp_path) == []


def test_two_processes_with_weights_in_shards_train_as_one_does(alone: Path, tmp_path: Path) -> None:
    """In bfloat16 too: shards change neither what is rounded nor what gradients are added up in."""
    together = made(tmp_path, "all", shared_stages.config(), 2, "fsdp2")
    for name in shared_stages.SHARDED:
        assert_same_training(alone / name / "once", together / name / "once")
        assert_same_bytes(together / name / "once", together / name / "again")


def test_two_processes_with_moments_in_shards_train_as_one_does(alone: Path, tmp_path: Path) -> None:
    together = made(tmp_path, "all", shared_stages.config(), 2, "zero1")
    for name in shared_stages.CUT_MOMENTS:
        assert_same_training(alone / name / "once", together / name / "once")
        assert_same_bytes(together / name / "once", together / name / "again")


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def interrupted(spec: Spec, folder: Path, number: int, least: int) -> subprocess.Popen[str]:
    """A worker that was sent a signal once ``least`` steps were told, after it has ended."""
    spec.write(folder / "spec.json")
    store = Store(spec.store)
    metrics = store.staging(spec.stage, spec.key).out / "metrics.jsonl"
    worker = subprocess.Popen(
        [sys.executable, "-m", "dsm_repro.pipeline.worker", str(folder / "spec.json")],
        env={**os.environ, "RESUME_SECONDS": "0.05"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while lines(metrics) < least:
        assert time.monotonic() < deadline and worker.poll() is None
        time.sleep(0.005)
    (shown,) = read_progress(store.root)
    worker.send_signal(number)
    worker.said = worker.communicate(timeout=60)[1]  # type: ignore[attr-defined]
    assert not store.has(spec.stage, spec.key)
    # and none of its processes outlives it
    while Path(f"/proc/{shown['pid']}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return worker


def preempted_in_process(spec: Spec, at: int, monkeypatch: pytest.MonkeyPatch) -> Preempted:
    """SIGTERM to this process when step ``at`` is told: after its checkpoint was decided on, or before."""
    log = StageContext.log

    def log_and_signal(self: StageContext, step: int, **values: Any) -> None:
        log(self, step, **values)
        if step == at:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(StageContext, "log", log_and_signal)
        with pytest.raises(Preempted) as raised:
            run_spec(spec)
    return raised.value


@pytest.mark.parametrize(("name", "number"), [("sft", signal.SIGKILL), ("rl", signal.SIGUSR1)])
def test_ended_with_one_process_it_goes_on_with_two_and_then_with_one_again(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, or told to end: the trajectory is that of one process that nothing disturbed."""
    config = shared_stages.config("ppo", rl_steps=24, steps=24)
    undisturbed = made(tmp_path / "undisturbed", name, config, 1)
    store = tmp_path / "store"
    parent, with_one = shared_stages.specs(store, name, config, 1)
    with_two = shared_stages.specs(store, name, config, 2)[1]
    run_spec(parent)
    scratch = Store(store).staging(with_one.stage, with_one.key).scratch

    def stands() -> int:
        return int(json.loads((scratch / "resume.json").read_text())["checkpoint"].removeprefix("checkpoint-"))

    told = scratch.parent / "out" / "metrics.jsonl"
    before = preempted_in_process(with_one, 4, monkeypatch)
    assert stands() in (4, 5) and str(before).startswith(f"preempted: a checkpoint was saved after step {stands()}.")
    assert lines(told) == stands()
    worker = interrupted(with_two, tmp_path, number, least=9)
    assert 8 <= stands() < 24
    if number != signal.SIGKILL:
        assert worker.returncode == 75
        assert worker.said.splitlines()[-1] == (  # type: ignore[attr-defined]
            f"preempted: a checkpoint was saved after step {stands()}. The same command again goes on from there."
        )
        # nothing will be done twice
        assert lines(told) == stands()
    assert run_spec(with_one) == "done"
    assert_same_training(undisturbed, Store(store).path(with_one.stage, with_one.key))


def test_weights_in_shards_go_on_with_another_number_of_processes(tmp_path: Path) -> None:
    config = shared_stages.config(steps=16)
    undisturbed = made(tmp_path / "undisturbed", "sft", config, 1)
    store = tmp_path / "store"
    parent, with_two = shared_stages.specs(store, "sft", config, 2, "fsdp2")
    with_three = shared_stages.specs(store, "sft", config, 3, "fsdp2")[1]
    run_spec(parent)
    worker = interrupted(with_two, tmp_path, signal.SIGUSR1, least=4)
    assert worker.returncode == 75
    assert run_spec(with_three) == "done"
    assert_same_training(undisturbed, Store(store).path(with_three.stage, with_three.key))
