"""Answers that try to hang, crash or take over the grader."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsm_repro.config.schema import GraderConfig
from dsm_repro.reasoning.grading import Grader

WALL = 0.8
#: a killed child is replaced by a fork; this much more is allowed on a busy machine
SLACK = 3.0

CODE = "__import__('os').system('touch /tmp/dsm_owned')"

HOSTILE = {
    "power tower": "9^{9^{9^{9^9}}}",
    "python tower": "9**9**9**9**9",
    "tower of two": "9^{9^9}",
    "tower in brackets": "((((9^9)^9)^9)^9)^9",
    "factorials": "9!!!!!!!!",
    "big factorial": "(999!)!",
    "binomial": r"\binom{9999999}{4999999}",
    "long sum": r"\sum_{i=1}^{99999999} \frac{1}{i^3+\sin(i)}",
    "integral": r"\int_0^1 \int_0^1 \sin(x^{y^x}) \exp(\cos(x y)) dx dy",
    "digits": "9" * 100_000,
    "many digits to a power": "7" * 90 + "^{9999}",
    "parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "fractions": r"\frac{1}{" * 400 + "1" + "}" * 400,
    "shallow fractions": r"\frac{1}{" * 30 + "x" + "}" * 30,
    "unbalanced": "{" * 500,
    "unbalanced inside": r"\frac{1}{2" + "{" * 20,
    "code": CODE,
    "code in text": rf"\text{{{CODE}}}",
    "code in mathrm": rf"\mathrm{{{CODE}}}",
    "code in operatorname": rf"\operatorname{{{CODE}}}",
    "code in a lambda": f"(lambda: {CODE})()",
    "code in a comprehension": f"[{CODE} for x in (1,)]",
    "code in a symbol": f"Symbol('x', **{{'a': {CODE}}})",
    "input": r"\input{/etc/passwd}",
    "write18": r"\immediate\write18{touch /tmp/dsm_owned}",
    "nul": "1\x002",
    "surrogate": "1\ud8002",
    "right to left": "\u202e42\u202c",
    "one megabyte": "x+" * 500_000,
    "dollars": "$" * 1_000,
    "backslashes": "\\" * 1_000,
    "commas": "1," * 500,
    "polynomial": "+".join(f"x^{{{i}}}" for i in range(80)),
    "product of sums": "(a+b+c+d+e)^{999}",
    "newlines": "1\n" * 400,
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(GraderConfig(timeout=WALL)) as grader:
        assert grader.grade("x+x", "2x").correct
        yield grader


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_not_correct_not_slow_and_the_next_is_served(grader: Grader, name: str) -> None:
    owned = Path("/tmp/dsm_owned")
    started = time.monotonic()
    verdict = grader.grade(HOSTILE[name], "x+1")
    assert time.monotonic() - started < WALL + SLACK
    assert verdict.status in ("incorrect", "ungradable")
    assert not owned.exists()
    started = time.monotonic()
    assert grader.grade(f"{len(name)}(x+1)", f"{len(name)}x+{len(name)}").correct
    assert time.monotonic() - started < WALL


def test_a_hostile_gold_answer_is_ungradable(grader: Grader) -> None:
    assert grader.grade("1", "(" * 10_000).status == "ungradable"
    assert grader.grade("1", "9" * 100_000).status == "ungradable"


def test_a_worker_killed_from_outside_is_replaced(grader: Grader) -> None:
    for worker in grader._pool._state.all:
        worker.process.kill()
    statuses = [grader.grade(f"x+{i}+1", f"x+{i + 1}").status for i in range(3)]
    assert statuses[-1] == "correct"
    assert set(statuses) <= {"correct", "ungradable"}
