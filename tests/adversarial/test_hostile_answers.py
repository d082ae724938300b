"""Answers that try to hang, crash or take over the grader."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning.extraction import extract
from dsm_repro.reasoning.grading import Grader

WALL = 0.8
#: where only the hostile ones count
SHORT_WALL = 0.25
#: a killed child is replaced by a fork; this much more is allowed on a busy machine
SLACK = 3.0
#: what one worker, its serving child included, may hold after all of this: the import of SymPy is most of it
WORKER_BYTES = 700_000_000
#: what the caller's process may grow by
CALLER_BYTES = 150_000_000

OWNED = Path("/tmp/dsm_owned")
CODE = f"__import__('os').system('touch {OWNED}')"

WRAPPED_CODE = {
    "bare": CODE,
    "in boxed": rf"\boxed{{{CODE}}}",
    "in text": rf"\text{{{CODE}}}",
    "in mathrm": rf"\mathrm{{{CODE}}}",
    "in mbox": rf"\mbox{{{CODE}}}",
    "in operatorname": rf"\operatorname{{{CODE}}}",
    "in a fraction": rf"\frac{{{CODE}}}{{1}}",
    "in a root": rf"\sqrt{{{CODE}}}",
    "in an exponent": rf"x^{{{CODE}}}",
    "in a subscript": rf"x_{{{CODE}}}",
    "in brackets": f"({CODE})",
    "in a list": f"[{CODE}, {CODE}]",
    "in a set": rf"\{{{CODE}, 1\}}",
    "in a matrix": rf"\begin{{pmatrix}} {CODE} & 1 \end{{pmatrix}}",
    "in a lambda": f"(lambda: {CODE})()",
    "in a comprehension": f"[{CODE} for x in (1,)]",
    "in a conditional": f"1 if {CODE} else 2",
    "in a symbol": f"Symbol('x', **{{'a': {CODE}}})",
    "in sympify": f'sympify("{CODE}")',
    "in eval": f'eval("{CODE}")',
    "in an f-string": f'f"{{{CODE}}}"',
    "in an assignment": f"x = {CODE}",
    "behind a number": f"1 {CODE}",
    "behind a percent sign": f"5% {CODE}",
    "with a unit": f"5 {CODE} cm",
    "through classes": "().__class__.__base__.__subclasses__()[0].__init__.__globals__",
    "for a shell": f"$(touch {OWNED}); `touch {OWNED}`",
    "as a pickle": f"cos\nsystem\n(S'touch {OWNED}'\ntR.",
}

HOSTILE = {
    **{f"code {name}": text for name, text in WRAPPED_CODE.items()},
    "power tower": "9^{9^{9^{9^9}}}",
    "python tower": "9**9**9**9**9",
    "tower of two": "9^{9^9}",
    "tower in brackets": "((((9^9)^9)^9)^9)^9",
    "tower of letters": "x^{x^{x^{x^{x^x}}}}",
    "factorials": "9!!!!!!!!",
    "big factorial": "(999!)!",
    "binomial": r"\binom{9999999}{4999999}",
    "long sum": r"\sum_{i=1}^{99999999} \frac{1}{i^3+\sin(i)}",
    "long product": r"\prod_{k=1}^{9999999} (1 + \frac{1}{k!})",
    "integral": r"\int_0^1 \int_0^1 \sin(x^{y^x}) \exp(\cos(x y)) dx dy",
    "limit": r"\lim_{x \to 0} \frac{\sin(\tan x) - \tan(\sin x)}{x^7}",
    "digits": "9" * 100_000,
    "decimal digits": "0." + "3" * 100_000,
    "digits of a fraction": f"{'1' * 100_000}/{'3' * 100_000}",
    "digits with commas": "1" + ",000" * 30_000,
    "many digits to a power": "7" * 90 + "^{9999}",
    "large exponent": "1e999999999",
    "parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "brackets": "[" * 10_000 + "]" * 10_000,
    "sets": r"\{" * 10_000 + r"\}" * 10_000,
    "fractions": r"\frac{1}{" * 400 + "1" + "}" * 400,
    "shallow fractions": r"\frac{1}{" * 30 + "x" + "}" * 30,
    "roots": r"\sqrt{" * 30 + "x" + "}" * 30,
    "unbalanced": "{" * 500,
    "unbalanced at the end": "}" * 500,
    "unbalanced inside": r"\frac{1}{2" + "{" * 20,
    "input": r"\input{/etc/passwd}",
    "include": r"\include{/dev/zero}",
    "write18": rf"\immediate\write18{{touch {OWNED}}}",
    "definition": r"\def\x{\x\x}\x",
    "nul": "1\x002",
    "escape": "\x1b[2J1",
    "surrogate": "1\ud8002",
    "right to left": "\u202e42\u202c",
    "no characters": "\u200b" * 900,
    "combining marks": "1" + "\u0301" * 900,
    "other digits": "\u0664\u0662",
    "one megabyte": "x+" * 500_000,
    "one megabyte of spaces": " " * 500_000 + "1" + " " * 500_000,
    "dollars": "$" * 1_000,
    "backslashes": "\\" * 1_000,
    "commas": "1," * 500,
    "plus or minus": r"\pm a" * 200,
    "unions": r"(0,1)\cup" * 100,
    "units": "5" + r"\text{ cm}" * 80,
    "equations": "x=" * 500,
    "matrix": r"\begin{pmatrix}" + r"x & y \\" * 80 + r"\end{pmatrix}",
    "polynomial": "+".join(f"x^{{{i}}}" for i in range(80)),
    "product of sums": "(a+b+c+d+e)^{999}",
    "roots of roots": "+".join(rf"\sqrt{{{i}+\sqrt{{{i + 1}}}}}" for i in range(2, 30)),
    "newlines": "1\n" * 400,
    "json": '{"id": 0, "status": "correct", "reason": ""}\n',
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(GraderConfig(timeout=WALL)) as grader:
        assert grader.grade("x+x", "2x").correct
        yield grader


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_not_correct_not_slow_and_the_next_is_served(grader: Grader, name: str) -> None:
    started = time.monotonic()
    verdict = grader.grade(HOSTILE[name], "x+1")
    assert time.monotonic() - started < WALL + SLACK
    assert verdict.status in ("incorrect", "ungradable", "no_answer")
    assert not OWNED.exists()
    started = time.monotonic()
    assert grader.grade(f"{len(name)}(x+1)", f"{len(name)}x+{len(name)}").correct
    assert time.monotonic() - started < WALL


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


def test_memory_stays_bounded(grader: Grader) -> None:
    """Runs after all of the above, on the same workers."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for text in HOSTILE.values():
        if len(text) > 10_000:
            grader.grade(text, "x+1")
            extract(rf"\boxed{{{text}}}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < CALLER_BYTES
    for worker in grader._pool._state.all:
        assert resident(worker.process.pid) < WORKER_BYTES


def resident(pid: int) -> int:
    """Bytes of a process and of its children, what they share counted twice."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in children)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("hendrycks", list(HOSTILE.values())),
        # Both parse in the same way: each takes one half.
        ("minerva", list(HOSTILE.values())[::2]),
        ("deepseek", list(HOSTILE.values())[1::2]),
    ],
)
def test_published_graders_stand_it_too(name: str, texts: list[str]) -> None:
    with Grader(GraderConfig(name=name, timeout=SHORT_WALL)) as grader:
        for text in texts:
            started = time.monotonic()
            assert grader.grade(text, "x+1").status in ("incorrect", "ungradable", "no_answer")
            assert time.monotonic() - started < SHORT_WALL + SLACK
        assert not OWNED.exists()
        assert grader.grade(r"\frac12", "1/2").correct


def test_sixteen_threads_stand_it() -> None:
    slow = ["limit", "factorials", "binomial", "integral"]
    names = slow + [name for name in HOSTILE if name not in slow][::2][:28]
    wrong: list[str] = []

    def work(first: int, grader: Grader) -> None:
        for i in range(first, len(names), 16):
            if grader.grade(HOSTILE[names[i]], "x+1").correct:
                wrong.append(names[i])
            if not grader.grade(f"{i + 2}(x+1)", f"{i + 2}x+{i + 2}").correct:
                wrong.append(f"honest answer {i}")

    # Longer than for one: what is honest must come through while all cores are busy.
    with Grader(GraderConfig(timeout=2 * WALL), workers=2) as grader:
        threads = [threading.Thread(target=work, args=(i, grader)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert not OWNED.exists()


def test_a_hostile_gold_answer_is_ungradable(grader: Grader) -> None:
    assert grader.grade("1", "(" * 10_000).status == "ungradable"
    assert grader.grade("1", "9" * 100_000).status == "ungradable"


def test_a_worker_killed_from_outside_is_replaced(grader: Grader) -> None:
    for worker in grader._pool._state.all:
        worker.process.kill()
    statuses = [grader.grade(f"x+{i}+1", f"x+{i + 1}").status for i in range(3)]
    assert statuses[-1] == "correct"
    assert set(statuses) <= {"correct", "ungradable"}
