"""Killed anywhere, run again: the same weights, metrics and record, bit for bit."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import resume_stages
from rl_methods import TRAINED_HERE, steps_reward
from rl_world import make_config, make_context, make_model_folder

from dsm_repro.config.container import to_container
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import Spec, run_spec
from dsm_repro.rl import budget, run
from dsm_repro.rl.stage import STAGE

#: files that tell times
CLOCKS = ("times.jsonl", "cost.json", "manifest.json")
UPDATES = 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


def config_of(method: str, steps: int, updates: int) -> Config:
    """A checkpoint after every exploration; a copy of the policy on its way."""
    config = make_config(method, steps)
    config.rl.updates_per_exploration, config.rl.snapshots = updates, 1
    config.execution.checkpoint_seconds = 0.0
    return config


def files(out: Path) -> dict[str, bytes]:
    """Every file of an artifact but those that tell times."""
    found = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in CLOCKS)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def run_and_die(ctx: StageContext, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage until update ``at`` has been told, and no further."""
    ledger = budget.Ledger.__call__

    def die(self: budget.Ledger, step: int, *rest: object) -> bool:
        stop = ledger(self, step, *rest)
        if step == at:
            raise KeyboardInterrupt
        return stop

    with monkeypatch.context() as patched:
        patched.setattr(budget.Ledger, "__call__", die)
        with pytest.raises(KeyboardInterrupt):
            STAGE.run(ctx)


#: before the first checkpoint, in the middle of an exploration, at the last update of one
MOMENTS = (1, UPDATES + 2, 2 * UPDATES)


@pytest.mark.parametrize("method", TRAINED_HERE)
def test_killed_at_any_step_a_run_comes_to_the_same_bytes(
    tmp_path: Path, model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run killed again and again: GRPO and PPO at every step, also between the updates of one exploration.

    The checkpoint stands before the exploration.
    """
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    config = config_of(method, 2 * UPDATES + 1, UPDATES)
    whole = make_context(tmp_path / "whole", copy.deepcopy(config), model)
    STAGE.run(whole)
    assert [json.loads(line)["step"] for line in (whole.out / "metrics.jsonl").read_text().splitlines()] == [
        *range(1, 2 * UPDATES + 2)
    ]
    pointer = tmp_path / "killed" / "scratch" / "resume.json"
    for at in range(1, 2 * UPDATES + 2) if method in ("grpo", "ppo") else MOMENTS:
        # the worker empties this folder where there is no checkpoint
        killed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
        run_and_die(killed, at, monkeypatch)
        stands = (at - 1) // UPDATES * UPDATES
        assert pointer.exists() == (stands > 0)
        assert not stands or json.loads(pointer.read_text())["checkpoint"] == f"checkpoint-{stands}"
    resumed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    STAGE.run(resumed)
    assert files(resumed.out) == files(whole.out)
    assert resumed.cost.flops == whole.cost.flops and resumed.cost.tokens == whole.cost.tokens


def _specs(store: Path, config: Config) -> tuple[Spec, Spec]:
    parent = stage_key(resume_stages.SFT, config, {})
    key = stage_key(resume_stages.RL, config, {"sft": parent})
    told = to_container(config)
    return (
        Spec("sft", "resume_stages:SFT", parent, told, {}, str(store)),
        Spec("rl", "resume_stages:RL", key, told, {"sft": parent}, str(store)),
    )


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
    for _ in range(2):
        before = metrics.stat().st_mtime_ns if metrics.exists() else 0
        worker = subprocess.Popen(
            [sys.executable, "-m", "dsm_repro.pipeline.worker", str(tmp_path / "spec.json")], env=environment,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 200
        while not metrics.exists() or metrics.stat().st_mtime_ns == before or not metrics.stat().st_size:
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
