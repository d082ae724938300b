"""Sweeps that share a store and are killed, a disk that is full, a store that cannot be written: nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweep_stages import REGISTRY_OVERRIDE, ran

from dsm_repro.pipeline.store import Store

WAIT_SECONDS = 60.0


def command(store: Path, arms: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """``dsm run`` of the toy stages, and its environment."""
    words = ["run", "-m", f"rl={arms}", "pretrain=none", REGISTRY_OVERRIDE, "hydra.sweeper.report=false"]
    path = os.pathsep.join(sys.path)
    return [sys.executable, "-m", "dsm_repro", *words], {
        **os.environ, "DSM_STORE": str(store), "PYTHONPATH": path, **variables,
    }  # fmt: skip


def dsm(store: Path, arms: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words, environment = command(store, arms, **variables)
    return subprocess.run(words, env=environment, cwd=store.parent, capture_output=True, text=True, check=False)


def records(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.glob("*/*/record.json"))}


def start(store: Path, arms: str) -> subprocess.Popen[bytes]:
    words, environment = command(store, arms, TOY_SECONDS="0.6")
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        words, env=environment, cwd=store.parent, stdout=quiet, stderr=quiet, start_new_session=True
    )


def test_of_two_sweeps_on_one_store_one_is_killed(tmp_path: Path) -> None:
    assert dsm(tmp_path / "undisturbed", "grpo,ppo,rloo").returncode == 0
    store = tmp_path / "store"
    killed, other = start(store, "grpo,ppo"), start(store, "grpo,rloo")
    deadline = time.monotonic() + WAIT_SECONDS
    while ran(store)["sft"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert other.wait(WAIT_SECONDS) == 0
    again = dsm(store, "grpo,ppo")
    assert again.returncode == 0, again.stderr
    assert records(store) == records(tmp_path / "undisturbed")
    for key in records(store):
        Store(store).verify(*key.split("/")[:2])
    # what both need was made once, but for the one stage that the kill interrupted
    once = ran(tmp_path / "undisturbed")
    assert sum((ran(store) - once).values()) <= 1
    indexes = [json.loads(path.read_text()) for path in store.glob("sweeps/*/arms.json")]
    assert len(indexes) == 2 and all(index["finished"] for index in indexes)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_a_full_disk_is_said_and_costs_the_stage_that_met_it(disk: Path) -> None:
    store = disk / "store"
    # what ran is noted on another disk
    toys = {"TOY_BYTES_RL": "4000000", "TOY_RAN": str(disk.parent)}
    full = dsm(store, "grpo,ppo", **toys)
    assert full.returncode == 1
    assert "failed: rl=grpo, seed 0, stage rl" in full.stderr and "Traceback" not in full.stderr
    assert "disk" in full.stderr and str(store) in full.stderr
    assert not list(store.glob("rl/*/record.json")) and len(list(store.glob("sft/*/record.json"))) == 1
    assert "failed: rl=ppo, seed 0, stage rl" in full.stderr and full.stderr.count(", stage rl: ") == 2
    # on the disk that the first has filled the second may not find the room to begin, and then says so
    begun = full.stderr.count("(The stage ended with ")
    assert begun >= 1 and ran(disk.parent) == {"base": 1, "sft": 1, "rl": begun}
    # output that no run goes on from is not left in the room that others need
    assert shutil.disk_usage(disk).free > 1_500_000 and not list(store.glob("rl/.*.partial/out/*"))
    remount(disk, "size=30m")
    again = dsm(store, "grpo,ppo", **toys)
    assert again.returncode == 0, again.stderr
    assert ran(disk.parent) == {"base": 1, "sft": 1, "rl": begun + 2, "evaluate": 2}
    for path in store.glob("*/*/manifest.json"):
        Store(store).verify(*path.parts[-3:-1])


def test_a_read_only_store_serves_what_it_has_and_refuses_the_rest(disk: Path) -> None:
    store = disk / "store"
    assert dsm(store, "grpo,ppo").returncode == 0
    before = records(store)
    remount(disk, "ro")
    same = dsm(store, "grpo,ppo")
    assert same.returncode == 0 and "0 stages to do" in same.stdout, same.stderr
    more = dsm(store, "grpo,rloo")
    assert more.returncode == 1 and "Traceback" not in more.stderr
    assert "cannot be written" in more.stderr and "DSM_STORE" in more.stderr
    assert records(store) == before
    remount(disk, "rw")
    assert dsm(store, "grpo,rloo").returncode == 0
