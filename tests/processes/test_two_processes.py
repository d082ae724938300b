"""Two processes (gloo) against one, in float64: the same completions, loss, gradient norm, metrics and weights.

Whole stages, as the worker starts them, are in ``test_shared_training``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import steps_of_processes
import torch
from rl_world import make_model_folder

FLOAT64_NOISE = 1e-10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


def test_two_processes_take_the_steps_of_one(model: Path, tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "0"]
    script = str(Path(steps_of_processes.__file__))
    command = [sys.executable, *launch, script, str(model), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-4000:]
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for number, run in enumerate(steps_of_processes.RUNS):
        one = steps_of_processes.steps(model, tmp_path / "alone", *run)
        first, second = both[0][number], both[1][number]
        assert len(one["losses"]) == 2 and max(map(abs, one["losses"])) > 1e-4
        for two in (first, second):
            assert two["losses"] == pytest.approx(one["losses"], abs=FLOAT64_NOISE)
            for mine, alone in zip(two["completions"], one["completions"], strict=True):
                assert torch.equal(mine, alone)
            for mine, alone in zip(two["weights"], one["weights"], strict=True):
                assert torch.allclose(mine, alone, rtol=0, atol=FLOAT64_NOISE)
        # to the last bit: what a process has to itself must not drift apart
        assert all(map(torch.equal, first["weights"], second["weights"]))
        # the first process tells the metrics of every step, the other only sees its explorations
        assert [list(line) for line in first["metrics"]] == [list(line) for line in one["metrics"]]
        for mine, alone in zip(first["metrics"], one["metrics"], strict=True):
            assert mine == pytest.approx(alone, abs=FLOAT64_NOISE)
        explored = [line for line in first["metrics"] if "loss" not in line]
        assert second["metrics"] == explored and 0 < len(explored) < len(first["metrics"])
