"""The plan: shared stages once, hits free, times from past runs, and what the comparison could detect."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sweep_stages import REGISTRY

from dsm_repro.config.compose import expand
from dsm_repro.config.schema import ExecutionConfig
from dsm_repro.pipeline import device, plan_text
from dsm_repro.pipeline.plan import Estimate, PastRun, expected_seconds
from dsm_repro.pipeline.plan_text import amount, duration, gpu_hours
from dsm_repro.pipeline.sweeper import Outcome, execute, prepare
from dsm_repro.pipeline.worker import Spec, run_spec

CPU = device.device_of(ExecutionConfig(device="cpu"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSM_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def test_shared_stages_are_listed_once_and_nothing_is_written(store: Path) -> None:
    _, _, plan = prepare(expand(["sweep=rl_algorithm", "scale=smoke"]), REGISTRY)
    assert [row.stage for row in plan.rows].count("pretrain") == 1
    assert (plan.to_do, plan.unique, plan.separate) == (21, 21, 51)
    assert not store.exists()
    assert json.loads(plan.to_json())["rows"][0]["hit"] is False


def test_arms_that_come_down_to_one_run_are_named(store: Path) -> None:
    """The toy stage ``rl`` knows method and clip range: another KL coefficient is no other run to it."""
    _, _, plan = prepare(expand(["rl=grpo", "rl.kl_coefficient=0.04,0.05"]), REGISTRY)
    (names,) = plan.same
    assert len(names) == 2 and "are one run" in "".join(str(part) for part in plan_text.render(plan, store))
    _, _, other = prepare(expand(["sweep=rl_algorithm"]), REGISTRY)
    assert other.same == []


def test_what_is_in_the_store_costs_nothing(store: Path) -> None:
    sweep = expand(["until=sft"])
    execute(sweep, REGISTRY, lambda specs, first, workers: [run_spec(Spec.read(p)) for p in specs] and None)
    _, _, plan = prepare(sweep, REGISTRY)
    assert plan.to_do == 0
    assert plan.seconds == 0
    assert "only renders the report" in "".join(str(part) for part in plan_text.render(plan, store))
    _, _, more = prepare(expand(["until=rl"]), REGISTRY)
    assert [row.stage for row in more.rows if not row.hit] == ["rl"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("manifest.json", b"{"),
        ("manifest.json", b"[1]"),
        ("manifest.json", b'{"hardware": 3}'),
        ("cost.json", b"{"),
        ("cost.json", b"\xff"),
        ("cost.json", b"[1]"),
        ("cost.json", b'{"flops": {"train": "many"}}'),
    ],
)
def test_a_damaged_artifact_only_costs_the_estimate_a_sample(store: Path, file: str, content: bytes) -> None:
    """What it is damaged for is repaired by the run, so the run must come to begin."""
    sweep = expand(["until=base"])

    def run() -> Outcome:
        return execute(sweep, REGISTRY, lambda specs, first, workers: [run_spec(Spec.read(p)) for p in specs] and None)

    assert run().exit_code == 0
    (made,) = store.glob("base/*/" + file)
    made.write_bytes(content)
    # another artifact of the stage, whose time is estimated by the damaged one
    _, _, other = prepare(expand(["until=base", "seeds.base=7"]), REGISTRY)
    assert other.rows[0].basis.startswith("assumed")
    assert run().exit_code == 0
    assert made.read_bytes() != content
    assert [path.name for path in store.glob("base/*.damaged-1")] == [f"{made.parent.name}.damaged-1"]


def test_past_runs_are_scaled_by_flops() -> None:
    seconds, basis = expected_seconds(Estimate(flops=4e9), [PastRun(1e9, 10.0), PastRun(2e9, 20.0)], CPU)
    assert seconds == pytest.approx(40.0)
    assert basis == "past runs here"


def test_tiny_past_run_is_not_scaled_up() -> None:
    assert expected_seconds(Estimate(flops=1e12), [PastRun(1e9, 10.0)], CPU)[1].startswith("assumed")


def test_without_past_runs_the_assumed_rate_is_said() -> None:
    gpu = device.device_of(ExecutionConfig(device="cuda"))
    seconds, basis = expected_seconds(Estimate(flops=2 * device.GPU_RATE, seconds=3.0), [], gpu)
    assert seconds == pytest.approx(5.0)
    assert basis.startswith("assumed 1e+14 FLOP/s")


def test_numbers_are_said_for_people() -> None:
    assert [amount(v) for v in (0, 12, 2_500, 1.25e9, 3e20)] == ["-", "12", "2.5k", "1.25G", "300E"]
    assert [gpu_hours(h) for h in (0.01, 0.31, 9.94, 47.6, 71_156)] == [
        f"{hours} GPU-hours" for hours in ("Less than 0.1", "0.3", "9.9", "48", "71,156")
    ]
    assert [duration(s) for s in (None, 5, 300, 7200, 8.64e5)] == ["-", "5 s", "5 min", "2.0 h", "10.0 days"]


def test_plan_does_not_load_torch(store: Path) -> None:
    code = (
        "import sys; from sweep_stages import REGISTRY; from dsm_repro.config.compose import expand;"
        "from dsm_repro.pipeline.sweeper import prepare; from dsm_repro.pipeline.plan_text import render;"
        "g, s, p = prepare(expand(['sweep=rl_algorithm']), REGISTRY); render(p, s.root);"
        "print([m for m in ('torch', 'transformers', 'trl', 'lm_eval', 'scipy', 'numpy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(store))
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr


def environment(store: Path) -> dict[str, str]:
    here = Path(__file__).resolve()
    path = f"{here.parents[2]}:{here.parent}"
    return {"PYTHONPATH": path, "DSM_STORE": str(store), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
