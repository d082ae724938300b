"""Sweeps on clusters that are brought up here: Ray with two nodes, Slurm with one; loopback only."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_nodes import two_nodes
from slurm.one_node import missing, one_node
from sweep_stages import KILLER, REGISTRY_OVERRIDE, ran

from dsm_repro.cli import main

#: (words of the command, names of the nodes that must get work)
Cluster = Callable[[], "contextmanager[tuple[list[str], set[str]]]"]


@contextmanager
def ray_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[str], set[str]]]:
    with two_nodes() as (address, nodes):
        yield ["hydra/launcher=ray", f"hydra.launcher.ray.init.address='{address}'"], nodes


@contextmanager
def slurm_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[str], set[str]]]:
    with one_node(tmp_path / "slurm") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        words = ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5", "hydra.launcher.cpus_per_task=1"]
        yield words, {os.uname().nodename.split(".")[0]}


def lacks(module: str) -> bool:
    return importlib.util.find_spec(f"hydra_plugins.{module}") is None


CLUSTERS = [
    pytest.param(
        ray_cluster,
        id="ray",
        marks=pytest.mark.skipif(lacks("hydra_ray_launcher"), reason="the extra ray is not installed"),
    ),
    pytest.param(
        slurm_cluster,
        id="slurm",
        marks=pytest.mark.skipif(
            lacks("hydra_submitit_launcher") or bool(missing()), reason=missing() or "the extra slurm is not installed"
        ),
    ),
]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_every_node_gets_work_and_a_stage_that_is_killed_is_reported_with_its_log(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSM_STORE", str(store))
    # the toy stages lie beside the tests; workers are processes of their own
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    # long enough for the stages of a wave to run beside one another
    monkeypatch.setenv("TOY_SECONDS", "2")
    with cluster(tmp_path, monkeypatch) as (launcher, nodes):
        words = ["run", "-m", *launcher, REGISTRY_OVERRIDE, "hydra.sweeper.report=false", "execution.workers=2"]
        words += ["pretrain=none", "rl=grpo,ppo", f"rl.clip_epsilon={KILLER}"]
        assert main(words) == 1
    said = capfd.readouterr().err
    assert "failed: rl=ppo, seed 0, stage rl: the stage's process was ended by SIGKILL (out of memory" in said
    assert "the last words" in said
    # neither the scheduler nor Ray starts a killed stage again by itself, and the other arm is done
    assert ran(store) == {"base": 1, "sft": 1, "rl": 2, "evaluate": 1}
    logs = "".join(path.read_text() for path in (store / ".logs").glob("*.log"))
    assert set(re.findall(r"(?:Ray node|, node) (\w[\w-]*)", logs)) == nodes
