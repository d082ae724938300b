"""Methods of reinforcement learning at scale=smoke, as a user runs them: one command, one store, a record each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: those that the rule reward serves
METHODS = ("grpo", "rloo", "dr_grpo", "dapo", "rft", "online_rft", "ppo", "gspo", "cispo")
#: gspo at one update per exploration is grpo
RUNS = len(METHODS) - 1


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    command = [
        sys.executable, "-m", "dsm_repro", "run", "-m", f"rl={','.join(METHODS)}", "scale=smoke", "until=rl",
        "rl.budget={unit: steps, amount: 3}",
    ]  # fmt: skip
    environment = {**os.environ, "DSM_STORE": str(folder / "store"), "DSM_REPORTS": str(folder / "reports")}
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return folder / "store"


def test_every_method_leaves_a_record_and_a_model(done: Path) -> None:
    records = {path.parent: json.loads(path.read_text()) for path in (done / "rl").glob("[!.]*/record.json")}
    assert len(records) == RUNS
    assert {record["method"] for record in records.values()} >= {"rloo", "dr_grpo", "rft", "online_rft", "ppo"}
    for artifact, record in records.items():
        assert record["steps"] == 3 and record["flops"]["generate"] > 0
        assert ("reference" in record["flops"]) == (record["method"] in ("grpo", "gspo", "rloo", "ppo"))
        assert (artifact / "model" / "model.safetensors").exists()


def test_they_share_the_stages_before(done: Path) -> None:
    for stage in ("pretrain", "sft"):
        assert len(list((done / stage).glob("[!.]*/manifest.json"))) == 1
