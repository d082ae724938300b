"""Whoever follows the pages on extending gets parts whose own tests pass, and an arm that runs with all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import extended_project

#: the examples' method, level of a mix, and task in one arm; the filter is in its stage `crawl`
ARM = (
    "run", "scale=smoke", "rl=lite_ppo", "mix=half_math", "evaluation.tasks=[miniature,asdiv]",
    "evaluation.data.asdiv=asdiv.jsonl", "corpus.decontamination.benchmarks=[asdiv.jsonl]",
)  # fmt: skip


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extended_project(tmp_path_factory.mktemp("extended"))


def run(root: Path, *words: str) -> None:
    environment = {
        **os.environ, "PYTHONPATH": str(root), "DSM_STORE": str(root / "store"), "DSM_REPORTS": str(root / "reports"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_the_tests_of_the_examples_pass(extended: Path) -> None:
    tests = sorted(str(path.relative_to(extended)) for path in (extended / "tests").rglob("test_*.py"))
    assert len(tests) == 4
    run(extended, "pytest", "-c", "/dev/null", "--rootdir", ".", "-p", "no:cacheprovider", *tests)


def test_an_arm_of_all_examples_runs(extended: Path) -> None:
    run(extended, "dsm_repro", *ARM)
    (record,) = extended.glob("store/rl/[!.]*/manifest.json")
    assert json.loads(record.read_text())["identity"]["rl"]["method"] == "LitePPO"
    (samples,) = extended.glob("store/evaluate/[!.]*/samples.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [row["gold"] for row in rows if row["task"] == "asdiv"] == ["9", "15"]
