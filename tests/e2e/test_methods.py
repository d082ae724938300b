"""Every method of reinforcement learning at scale=smoke, as a user runs it: one store, a record each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.rl import estimators

ROOT = Path(__file__).resolve().parents[2]
STEPS = 3
#: those that the rule reward serves
RULE = ("grpo", "rloo", "dr_grpo", "dapo", "rft", "online_rft", "ppo", "gspo", "cispo")
#: those that are there for a reward model's scores
SCORED = ("grpo_process", "grpo_iterative")
#: it learns from pairs of a right and a wrong answer, which a model that learned next to nothing does not write
PAIRED = ("rl=dpo", "rl.questions=64", "sft.steps=120", "sft.examples=1000", "sft.learning_rate=3e-3")
COMMANDS = (
    ("-m", f"rl={','.join(RULE)}"),
    ("-m", f"rl={','.join(SCORED)}", "reward=process"),
    PAIRED,
)
#: gspo at one update per exploration is grpo
RUNS = len(RULE) - 1 + len(SCORED) + 1


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    environment = {**os.environ, "DSM_STORE": str(folder / "store"), "DSM_REPORTS": str(folder / "reports")}
    for words in COMMANDS:
        command = [
            sys.executable, "-m", "dsm_repro", "run", *words, "scale=smoke", "until=rl",
            f"rl.budget={{unit: steps, amount: {STEPS}}}",
        ]  # fmt: skip
        run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
    return folder / "store"


@pytest.fixture(scope="module")
def records(done: Path) -> dict[Path, dict[str, Any]]:
    """Artifact of a stage rl -> its record."""
    return {path.parent: json.loads(path.read_text()) for path in (done / "rl").glob("[!.]*/record.json")}


def test_no_method_is_left_out() -> None:
    assert {*RULE, *SCORED, "dpo"} == set(estimators.names())


def test_every_method_leaves_a_record_and_a_model(records: dict[Path, dict[str, Any]]) -> None:
    assert len(records) == RUNS
    names = {record["method"] for record in records.values()}
    assert names >= {"rloo", "dr_grpo", "rft", "online_rft", "ppo", "grpo_process", "grpo_iterative", "dpo"}
    with_reference = {"grpo", "gspo", "rloo", "ppo", "grpo_process", "grpo_iterative", "dpo"}
    for artifact, record in records.items():
        assert record["steps"] == STEPS and record["flops"]["generate"] > 0
        assert ("reference" in record["flops"]) == (record["method"] in with_reference)
        assert ("reward_model" in record["flops"]) == (record["method"] in SCORED)
        assert (artifact / "model" / "model.safetensors").exists()


def test_they_share_the_stages_before(done: Path) -> None:
    made = {stage: len(list((done / stage).glob("[!.]*/manifest.json"))) for stage in ("pretrain", "sft")}
    # dpo has a fine-tuning of its own
    assert made == {"pretrain": 1, "sft": 2}
    assert len(list((done / "reward_model").glob("[!.]*/manifest.json"))) == 1
