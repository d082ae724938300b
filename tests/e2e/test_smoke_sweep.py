"""The flagship sweep at scale=smoke, as a user runs it: undisturbed, again, and killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: two seeds are the fewest that share their ancestors
COMMAND = [
    sys.executable, "-m", "dsm_repro", "run", "sweep=rl_algorithm", "scale=smoke", "sweep.replicates.seeds=[0,1]",
]  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
#: what a stage leaves that must not depend on how it came about
RECORDS = (
    "record.json", "metrics.jsonl", "samples.jsonl", "pages.jsonl", "duplicates.jsonl", "pages/00000.parquet",
    "model/model.safetensors",
)  # fmt: skip
#: an artifact of this stage lies in the store: kill the sweep a moment later
KILL_AFTER = (("crawl", 0.5), ("corpus", 0.2), ("pretrain", 1.0), ("sft", 2.0), ("rl", 0.5))
PATIENCE = 240.0


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "DSM_STORE": str(folder / "store"), "DSM_REPORTS": str(folder / "reports")}


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, env=environment(folder), cwd=ROOT, capture_output=True, text=True, check=False)


def published(store: Path, stage: str) -> list[Path]:
    return sorted(path.parent for path in (store / stage).glob("[!.]*/manifest.json"))


def records(folder: Path) -> dict[str, bytes]:
    """Path in the store -> bytes, of all records of all artifacts."""
    store = folder / "store"
    stages = ("crawl", "corpus", "base", "pretrain", "sft", "rl", "evaluate")
    artifacts = [artifact for stage in stages for artifact in published(store, stage)]
    files = [artifact / name for artifact in artifacts for name in RECORDS]
    return {str(path.relative_to(store)): path.read_bytes() for path in files if path.exists()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_shared_stages_are_made_once_and_the_report_is_there(undisturbed: Path) -> None:
    made = {stage: len(published(undisturbed / "store", stage)) for stage in ("pretrain", "sft", "rl", "evaluate")}
    assert made == {"pretrain": 1, "sft": 2, "rl": 4, "evaluate": 6}
    page = (undisturbed / "reports" / "rl_algorithm" / "index.html").read_text()
    assert "smoke" in page


def test_the_same_command_again_runs_nothing_and_gives_the_same_page(undisturbed: Path) -> None:
    page = undisturbed / "reports" / "rl_algorithm" / "index.html"
    before = page.read_bytes()
    again = run(undisturbed)
    assert again.returncode == 0
    assert ": 0 stages to do" in again.stdout
    assert page.read_bytes() == before


def test_killed_on_the_way_and_repeated_gives_the_same_records(undisturbed: Path, tmp_path: Path) -> None:
    for stage, moment in KILL_AFTER:
        sweep = subprocess.Popen(
            COMMAND, env=environment(tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not published(tmp_path / "store", stage) and sweep.poll() is None:
            assert time.monotonic() < deadline, f"no {stage} within {PATIENCE:.0f} s"
            time.sleep(0.05)
        time.sleep(moment)
        # the workers of the launcher are in the same session
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.wait()
    final = run(tmp_path)
    assert final.returncode == 0, final.stderr[-2000:]
    expected, found = records(undisturbed), records(tmp_path)
    assert found.keys() == expected.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
    index = json.loads((tmp_path / "store" / "sweeps" / "rl_algorithm" / "arms.json").read_text())
    assert {state for arm in index["arms"] for state in arm["states"].values()} <= {"done", "hit"}
