"""A sweep runs each unique stage once, keeps a failure to its own arm, and resumes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sweep_stages import POISON, REGISTRY, ran

from dsm_repro.config.compose import expand
from dsm_repro.config.errors import ConfigError, DiskFullError
from dsm_repro.pipeline import sweeper
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.sweeper import execute, threads_per_stage
from dsm_repro.pipeline.task import run_task
from dsm_repro.pipeline.worker import Spec, write_error


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # a space and a quote: paths travel through Hydra's override grammar
    path = tmp_path / "it's a store"
    monkeypatch.setenv("DSM_STORE", str(path))
    return path


class Job:
    """What a launched job is given."""

    def __init__(self, spec: Path) -> None:
        self.worker_spec = str(spec)


def one_by_one(specs: Sequence[Path], first: int, workers: int) -> None:
    for spec in specs:
        run_task(Job(spec))


def index(store: Path, name: str = "rl_algorithm") -> dict[str, Any]:
    value: dict[str, Any] = json.loads((store / "sweeps" / name / "arms.json").read_text())
    return value


def test_each_unique_stage_runs_once_and_the_same_command_again_runs_none(store: Path) -> None:
    sweep = expand(["sweep=rl_algorithm", "sweep.replicates.from_stage=sft", "sweep.replicates.seeds=[0,1]"])
    outcome = execute(sweep, REGISTRY, one_by_one)
    assert (outcome.exit_code, outcome.executed) == (0, 15)
    assert ran(store) == {"corpus": 1, "base": 1, "pretrain": 1, "sft": 2, "rl": 4, "evaluate": 6}
    told = index(store)
    assert told["finished"] is not None
    assert told["dedup"] == {"stages_executed": 15, "stages_separate": 34, "stages_executed_now": 15}
    assert {state for arm in told["arms"] for state in arm["states"].values()} == {"done"}

    before = (store / "sweeps" / "rl_algorithm" / "arms.json").read_bytes()
    again = execute(sweep, REGISTRY, one_by_one)
    assert (again.exit_code, again.executed) == (0, 0)
    assert sum(ran(store).values()) == 15
    assert (store / "sweeps" / "rl_algorithm" / "arms.json").read_bytes() == before


def test_failing_arm_does_not_stop_the_others(store: Path) -> None:
    words = ["sweep=rl_algorithm", "sweep.replicates.seeds=[1]", f"rl.clip_epsilon={POISON}"]
    outcome = execute(expand(words), REGISTRY, one_by_one)
    assert outcome.exit_code == 1
    assert [failure[:3] for failure in outcome.failures] == [("ppo", 1, "rl")]
    assert "the critic exploded" in outcome.failures[0][3]
    arms = {(arm["name"], arm["seed"]): arm for arm in index(store)["arms"]}
    assert arms["ppo", 1]["states"]["rl"] == "failed"
    assert arms["ppo", 1]["states"]["evaluate"] == "blocked"
    assert "Traceback" in arms["ppo", 1]["error"]["traceback"]
    assert arms["grpo", 1]["states"]["evaluate"] == "done"
    assert arms["grpo", 1]["error"] is None
    assert index(store)["finished"] is None


def test_failed_stage_is_tried_again_and_finished_ones_are_not(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = expand(["pretrain=none", "rl=ppo,grpo", f"rl.clip_epsilon={POISON}"])
    assert execute(sweep, REGISTRY, one_by_one).exit_code == 1
    monkeypatch.setattr("sweep_stages.POISON", -1.0)
    outcome = execute(sweep, REGISTRY, one_by_one)
    assert (outcome.exit_code, outcome.executed) == (0, 2)
    assert ran(store)["rl"] == 3


def test_dead_launcher_is_a_message_and_a_rerun_resumes(store: Path) -> None:
    def dies(specs: Sequence[Path], first: int, workers: int) -> None:
        if any("sft-" in spec.name for spec in specs):
            raise RuntimeError("worker process terminated")
        one_by_one(specs, first, workers)

    sweep = expand(["rl=none", "pretrain=none"])
    outcome = execute(sweep, REGISTRY, dies)
    assert outcome.exit_code == 1
    assert "worker process terminated" in outcome.failures[0][3]
    assert execute(sweep, REGISTRY, one_by_one).exit_code == 0
    assert ran(store) == {"base": 1, "sft": 1, "evaluate": 1}


@pytest.mark.parametrize("told", ["Preempted", "DataError"])
def test_a_note_of_an_earlier_run_does_not_speak_for_a_launcher_that_starts_nothing(store: Path, told: str) -> None:
    def dies(specs: Sequence[Path], first: int, workers: int) -> None:
        raise RuntimeError("sbatch: error: invalid partition specified: gpuu")

    sweep = expand(["pretrain=none", "until=base"])
    (node,) = sweeper.prepare(sweep, REGISTRY)[0].nodes.values()
    staging = Store(store).staging(node.stage, node.key)
    staging.path.mkdir(parents=True)
    # as it was noted before the time was
    staging.error.write_text(json.dumps({"message": "an old story", "type": told, "traceback": ""}))
    outcome = execute(sweep, REGISTRY, dies)
    assert (outcome.exit_code, outcome.preempted) == (1, False)
    assert "invalid partition" in outcome.failures[0][3] and "an old story" not in outcome.failures[0][3]
    assert execute(sweep, REGISTRY, one_by_one).exit_code == 0


def test_the_same_error_again_is_the_errors_of_this_run(store: Path) -> None:
    words = ["sweep=rl_algorithm", "sweep.replicates.seeds=[1]", f"rl.clip_epsilon={POISON}"]
    said = [execute(expand(words), REGISTRY, one_by_one).failures[0][3] for _ in range(2)]
    assert said[0] == said[1] and "the critic exploded" in said[1]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (DiskFullError("the disk is full. Free some space."), "the disk is full. Free some space."),
        (KeyError("weights"), "KeyError: 'weights' (traceback in "),
    ],
    ids=["ours", "unexpected"],
)
def test_an_error_of_ours_is_shown_as_it_is_and_another_with_its_traceback(
    store: Path, error: Exception, shown: str
) -> None:
    def fails(specs: Sequence[Path], first: int, workers: int) -> None:
        spec = Spec.read(specs[0])
        write_error(Store(spec.store).staging(spec.stage, spec.key), error)

    outcome = execute(expand(["pretrain=none", "until=base"]), REGISTRY, fails)
    assert outcome.failures[0][3].startswith(shown) and (type(error) is KeyError or outcome.failures[0][3] == shown)


def test_what_keeps_a_stage_from_beginning_is_told(store: Path) -> None:
    def loses(specs: Sequence[Path], first: int, workers: int) -> None:
        specs[0].unlink()
        one_by_one(specs, first, workers)

    sweep = expand(["pretrain=none", "until=base"])
    assert "cannot read the worker's spec" in execute(sweep, REGISTRY, loses).failures[0][3]
    (store / ".logs").write_text("in the way")
    assert "in the way of the store's folder" in execute(sweep, REGISTRY, one_by_one).failures[0][3]
    # and where not even that can be noted, the launcher hears it
    (store / "base").rename(store / "was")
    (store / "base").write_text("in the way")
    assert "in the way of the store's folder" in execute(sweep, REGISTRY, one_by_one).failures[0][3]


def test_undeclared_difference_stops_the_sweep_before_anything_is_written(store: Path) -> None:
    sweep = expand(["sweep=rl_algorithm", "sweep.factor=rl.budget"])
    with pytest.raises(ConfigError, match=r"rl\.method: 'none' against 'ppo'"):
        execute(sweep, REGISTRY, one_by_one)
    assert not store.exists()


def test_threads_do_not_depend_on_what_the_store_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "cores", lambda: 8)
    assert [threads_per_stage(4, width) for width in (1, 2, 3, 4, 9)] == [8, 4, 2, 2, 2]
    assert threads_per_stage(16, 32) == 1


def test_a_preempted_sweep_starts_nothing_more_says_75_and_goes_on(store: Path) -> None:
    sweep = expand(["pretrain=none", "rl=grpo,ppo", "until=rl"])
    waves: list[int] = []

    def launch(specs: Sequence[Path], first: int, workers: int) -> None:
        waves.append(len(specs))
        if len(waves) == 3:
            one_by_one(specs[:1], first, workers)
            os.kill(os.getpid(), signal.SIGUSR1)
            specs = specs[1:]
        one_by_one(specs, first, workers)

    outcome = execute(sweep, REGISTRY, launch)
    assert (outcome.exit_code, outcome.preempted, outcome.failures) == (75, True, [])
    assert ran(store) == {"base": 1, "sft": 1, "rl": 1}
    told = index(store, sweep.name)
    assert [arm["states"]["rl"] for arm in told["arms"]] == ["done", "preempted"]
    assert told["finished"] is None and all(arm["error"] is None for arm in told["arms"])
    assert execute(sweep, REGISTRY, one_by_one).exit_code == 0
    assert ran(store) == {"base": 1, "sft": 1, "rl": 2}
