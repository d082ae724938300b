"""The grader inside Ray's actors: each has workers of its own, killed by its own wall clock, and gone with it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install 'dsm-repro[ray]'")

WALL = 1.0
#: refused by the rules, or killed by the clock
HOSTILE = [
    ("__import__('os').system('touch ray_was_here')", "x+1", "incorrect"),
    (r"9^{9^{9^{9}}}", "1", "ungradable"),
    ("(" * 10_000, "x+1", "ungradable"),
    ("(x+1)^{9999}", "x^{3}+1", "ungradable"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    # the path of a socket has to be short
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    before = os.environ.get("RAY_AUTH_MODE")
    # nobody else is let in: Ray would write a token to the home folder
    os.environ["RAY_AUTH_MODE"] = "disabled"
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        yield
    finally:
        ray.shutdown()
        os.environ.pop("RAY_AUTH_MODE") if before is None else os.environ.update(RAY_AUTH_MODE=before)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def actors(cluster: None) -> Iterator[list[Any]]:
    # a class of a function travels by value: a test module cannot be imported over there
    @ray.remote(num_cpus=0.5)
    class Grading:
        def __init__(self, wall: float) -> None:
            from dsm_repro.config.evaluation_schema import GraderConfig
            from dsm_repro.reasoning.grading import Grader

            self.grader = Grader(GraderConfig(timeout=wall), workers=1)

        def grade(self, prediction: str, gold: str) -> tuple[str, str, float]:
            started = time.monotonic()
            verdict = self.grader.grade(prediction, gold)
            return verdict.status, verdict.reason, time.monotonic() - started

        def workers(self) -> list[int]:
            return [worker.process.pid for worker in self.grader._pool._state.all]

    found = [Grading.remote(WALL) for _ in range(3)]
    yield found
    for actor in found:
        ray.kill(actor)


def test_actors_grade_hostile_and_honest_answers_side_by_side(actors: list[Any]) -> None:
    def all_of(prediction: str, gold: str) -> list[tuple[str, str, float]]:
        return ray.get([actor.grade.remote(prediction, gold) for actor in actors], timeout=120)  # type: ignore[no-any-return]

    assert {status for status, _, _ in all_of("x+x", "2x")} == {"correct"}
    for number, (prediction, gold, expected) in enumerate(HOSTILE):
        for status, reason, seconds in all_of(prediction, gold):
            assert status == expected, (prediction[:40], reason)
            assert seconds < WALL + 5
        # the next answer is served, by a parser: no rule and no memory decides it
        honest = all_of(f"{number + 2}(x+1)", f"{number + 2}x+{number + 2}")
        assert {(status, reason) for status, reason, _ in honest} == {("correct", "math_verify")}
    timed_out = all_of("(x+2)^{9999}", "x^{3}+2")
    assert {reason for _, reason, _ in timed_out} == {"timeout"}
    assert all(seconds >= WALL for _, _, seconds in timed_out)
    assert not Path("ray_was_here").exists()


def test_the_workers_of_an_actor_end_with_it(actors: list[Any]) -> None:
    assert ray.get(actors[0].grade.remote("x+x", "2x"), timeout=120)[0] == "correct"
    (pid,) = ray.get(actors[0].workers.remote())
    os.kill(pid, 0)
    ray.kill(actors[0])
    deadline = time.monotonic() + 20
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.05)
        pytest.fail(f"the grader's worker {pid} outlived its actor")
