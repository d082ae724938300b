"""SIGKILL to a real worker in the middle of reinforcement learning: it comes to the same bytes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import resume_stages
from resume_stages import config_of, files

from dsm_repro.config.container import to_container
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import Spec, run_spec


def _specs(store: Path, config: Config) -> tuple[Spec, Spec]:
    parent = stage_key(resume_stages.SFT, config, {})
    key = stage_key(resume_stages.RL, config, {"sft": parent})
    told = to_container(config)
    return (
        Spec("sft", "resume_stages:SFT", parent, told, {}, str(store)),
        Spec("rl", "resume_stages:RL", key, told, {"sft": parent}, str(store)),
    )


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def test_a_process_killed_at_random_moments_comes_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL to a real worker, twice on one run: while it samples, updates, writes metrics or a checkpoint."""
    config = config_of("ppo", steps=40, updates=2)
    undisturbed = _specs(tmp_path / "undisturbed", config)
    for spec in undisturbed:
        assert run_spec(spec) == "done"
    expected = files(Store(undisturbed[1].store).path("rl", undisturbed[1].key))

    parent, spec = _specs(tmp_path / "killed", config)
    run_spec(parent)
    spec.write(tmp_path / "spec.json")
    store = Store(spec.store)
    metrics = store.staging("rl", spec.key).out / "metrics.jsonl"
    environment = {**os.environ, "RESUME_SECONDS": "0.05", "PYTHONPATH": os.pathsep.join(sys.path)}
    moments = random.Random("moments")
    # a checkpoint stands before every third line
    for least in (3, 9):
        before = metrics.stat().st_mtime_ns if metrics.exists() else 0
        worker = subprocess.Popen(
            [sys.executable, "-m", "dsm_repro.pipeline.worker", str(tmp_path / "spec.json")], env=environment,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 200
        while not metrics.exists() or metrics.stat().st_mtime_ns == before or _lines(metrics) < least:
            assert time.monotonic() < deadline and worker.poll() is None
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.4))
        assert worker.poll() is None
        worker.kill()
        worker.wait()
        assert not store.has("rl", spec.key)
    assert (store.staging("rl", spec.key).scratch / "resume.json").exists()
    assert run_spec(spec) == "done"
    assert files(store.path("rl", spec.key)) == expected
