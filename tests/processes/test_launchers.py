"""The waves of a sweep under Hydra's launchers, and those of the extras: a local Ray cluster, submitit."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_stages import POISON, REGISTRY_OVERRIDE, ran

from dsm_repro.cli import main

LAUNCHERS = {
    "ray": ("hydra_ray_launcher", ["+hydra.launcher.ray.init.num_cpus=2"]),
    "submitit_local": ("hydra_submitit_launcher", ["hydra.launcher.timeout_min=5"]),
}


def available(launcher: str) -> bool:
    return importlib.util.find_spec(f"hydra_plugins.{LAUNCHERS[launcher][0]}") is not None


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(name, marks=pytest.mark.skipif(not available(name), reason=f"the extra for {name} is missing"))
        for name in LAUNCHERS
    ],
)
def test_a_failing_arm_keeps_to_itself_and_the_same_command_tries_it_again(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSM_STORE", str(tmp_path / "store"))
    # the toy stages lie beside the tests; workers are processes of their own
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    words = ["run", "-m", f"hydra/launcher={launcher}", *LAUNCHERS[launcher][1], REGISTRY_OVERRIDE]
    words += ["hydra.sweeper.report=false", "execution.workers=2", "pretrain=none", "rl=grpo,ppo"]
    words += [f"rl.clip_epsilon={POISON}"]
    assert main(words) == 1
    assert "failed: rl=ppo, seed 0, stage rl: ValueError: the critic exploded" in capfd.readouterr().err
    assert ran(tmp_path / "store") == {"base": 1, "sft": 1, "rl": 2, "evaluate": 1}
    (index,) = (tmp_path / "store" / "sweeps").glob("*/arms.json")
    states = {arm["name"]: set(arm["states"].values()) for arm in json.loads(index.read_text())["arms"]}
    assert states["rl=grpo"] == {"done"} and states["rl=ppo"] == {"done", "failed", "blocked"}
    assert main(words) == 1
    assert ran(tmp_path / "store") == {"base": 1, "sft": 1, "rl": 3, "evaluate": 1}
    pids = {line.split()[-1] for line in (tmp_path / "store" / "ran.txt").read_text().splitlines()}
    assert f"pid={os.getpid()}" not in pids


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_hydra_runs_the_waves_with_its_launchers(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # a space and a quote: paths travel through Hydra's override grammar
    store = tmp_path / "it's a store"
    monkeypatch.setenv("DSM_STORE", str(store))
    monkeypatch.chdir(tmp_path)
    words = ["run", "-m", f"hydra/launcher={launcher}", REGISTRY_OVERRIDE, "hydra.sweeper.report=false"]
    words += ["execution.workers=2", "pretrain=none", "rl=grpo,ppo", f"rl.clip_epsilon={POISON}"]
    assert main(words) == 1
    said = capfd.readouterr()
    assert "failed: rl=ppo, seed 0, stage rl: ValueError: the critic exploded" in said.err
    assert "Traceback" not in said.err
    assert "talks a lot" not in said.err + said.out
    assert any("talks a lot" in path.read_text() for path in (store / ".logs").glob("rl-*.log"))
    assert ran(store) == {"base": 1, "sft": 1, "rl": 2, "evaluate": 1}
    pids = {line.split()[-1] for line in (store / "ran.txt").read_text().splitlines() if line.startswith("rl")}
    assert (f"pid={os.getpid()}" in pids) == (launcher == "basic")
    assert [path.name for path in tmp_path.iterdir()] == [store.name], "nothing is left in the working folder"

    assert main([*words[:-2], "until=sft"]) == 0
    assert "sft: " in capfd.readouterr().out


@pytest.mark.parametrize(
    ("launcher", "workers", "noted"), [("joblib", 2, True), ("joblib", 1, False), ("basic", 2, False)]
)
def test_stages_at_once_on_one_gpu_are_noted(
    launcher: str, workers: int, noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DSM_STORE", str(tmp_path))
    words = ["run", f"hydra/launcher={launcher}", REGISTRY_OVERRIDE, "hydra.sweeper.report=false", "until=base"]
    assert main([*words, "pretrain=none", "execution.device=cuda", f"execution.workers={workers}"]) == 0
    assert ("note: 2 stages at once will share one GPU" in capfd.readouterr().err) == noted


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_preempted_command_saves_what_is_under_way_and_says_75(launcher: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    environment = {
        **os.environ, "DSM_STORE": str(store), "TOY_SECONDS": "60", "PYTHONPATH": os.pathsep.join(sys.path)
    }  # fmt: skip
    words = ["run", "-m", f"hydra/launcher={launcher}", REGISTRY_OVERRIDE, "hydra.sweeper.report=false"]
    words += ["until=base", "execution.workers=2", "seed=0,1,2"]
    command = [sys.executable, "-m", "dsm_repro", *words]
    under_way = {"basic": 1, "joblib": 2}[launcher]
    running = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while ran(store).total() < under_way:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.02)
    running.terminate()
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 75 and "goes on with the same command" in said
    # nothing that waited was begun
    assert ran(store) == {"base": under_way}
    (index,) = (store / "sweeps").glob("*/arms.json")
    assert {state for arm in json.loads(index.read_text())["arms"] for state in arm["states"].values()} == {"preempted"}
