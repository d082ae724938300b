"""What is right: the exact rules, then math-verify, and where each stops."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.grading.exact import number

CHEAP = [
    ("42", "42", "correct"),
    (" 42 ", "42", "correct"),
    ("$42$", "42", "correct"),
    (r"\(42\)", "42", "correct"),
    ("42.", "42", "correct"),
    ("042", "42", "correct"),
    ("+42", "42", "correct"),
    ("\u221242", "-42", "correct"),
    ("42.0", "42", "correct"),
    ("4.2e1", "42", "correct"),
    ("1,234", "1234", "correct"),
    ("1{,}234", "1234", "correct"),
    (r"1\,234", "1234", "correct"),
    ("0.5", "1/2", "correct"),
    (".5", r"\frac12", "correct"),
    (r"\dfrac{1}{2}", r"\frac{2}{4}", "correct"),
    (r"-\frac{1}{2}", "-0.5", "correct"),
    (r"\frac{-1}{2}", "-0.5", "correct"),
    ("3 1/2", "7/2", "correct"),
    (r"3\frac{1}{2}", "3.5", "correct"),
    (r"\$10", "10", "correct"),
    (r"90^\circ", "90", "correct"),
    (r"\text{even}", "even", "correct"),
    (r"x + 1", "x+1", "correct"),
    (r"\left(1, 2\right)", "(1,2)", "correct"),
    ("0.3333333333333333", "1/3", "correct"),
    ("0.30000000000000004", "0.3", "correct"),
    ("50", "0.5", "incorrect"),
    ("0.333333", "1/3", "incorrect"),
    ("100001", "100000", "incorrect"),
    ("0.0004", "0.001", "incorrect"),
    ("-42", "42", "incorrect"),
    ("1e3", "100", "incorrect"),
    ("", "42", "no_answer"),
    (" \n", "42", "no_answer"),
    (None, "42", "no_answer"),
    ("42", " ", "ungradable"),
]

PARSED = [
    ("x^2+2x+1", "(x+1)^2", "correct"),
    (r"2\sqrt2", r"\sqrt{8}", "correct"),
    (r"6\cdot7", "42", "correct"),
    ("x=5", "5", "correct"),
    ("2,1", "1,2", "correct"),
    (r"\{2,1\}", r"\{1,2\}", "correct"),
    (r"5\text{ cm}", "5", "correct"),
    ("1 2", "12", "incorrect"),
    ("(1,2)", "[1,2]", "incorrect"),
    (r"\sqrt{67}", r"\sqrt{67},-\sqrt{85}", "incorrect"),
    ("y=5", "x=5", "incorrect"),
    ("10^{-5}", "0", "incorrect"),
    ("odd", "even", "incorrect"),
    ("hello", "42", "incorrect"),
]


@pytest.mark.parametrize(("prediction", "gold", "status"), CHEAP)
def test_cheap_rules(prediction: str | None, gold: str, status: str) -> None:
    with Grader(GraderConfig()) as grader:
        assert grader.grade(prediction, gold).status == status
        assert grader.workers_started == 0


@pytest.mark.parametrize(("prediction", "gold", "status"), PARSED)
def test_math_verify_decides_the_rest(grader: Grader, prediction: str, gold: str, status: str) -> None:
    assert grader.grade(prediction, gold).status == status


def test_numbers_are_what_they_say() -> None:
    draw = random.Random("numbers")
    for _ in range(300):
        value = Fraction(draw.randint(-9999, 9999), draw.randint(1, 99))
        for text in (f"{value.numerator}/{value.denominator}", rf"\frac{{{value.numerator}}}{{{value.denominator}}}"):
            assert number(text) == value
        integer = draw.randint(-(10**9), 10**9)
        assert number(str(integer)) == number(f"{integer:,}") == integer


@pytest.mark.parametrize(
    "text", ["", "x", "1/0", r"\frac10", "1,23", "--1", "1..2", "1_000", "\u0663", "1e9999", "0x10"]
)
def test_not_plain_numbers(text: str) -> None:
    assert number(text) is None


def test_grade_many_keeps_the_order_and_agrees_with_grade(grader: Grader) -> None:
    pairs = [(prediction, gold) for prediction, gold, _ in (*CHEAP, *PARSED)] * 2
    assert grader.grade_many(pairs) == [grader.grade(*pair) for pair in pairs]


def test_integers_need_no_process_and_go_at_100_000_a_second() -> None:
    pairs = [(str(i % 997), str(i % 89)) for i in range(50_000)]
    with Grader(GraderConfig()) as grader:
        started = time.process_time()
        verdicts = grader.grade_many(pairs)
        assert time.process_time() - started < 0.5
        assert grader.workers_started == 0
    assert sum(v.correct for v in verdicts) == sum(a == b for a, b in pairs)


def test_any_thread_may_grade(grader: Grader) -> None:
    verdicts = {}

    def work(i: int) -> None:
        verdicts[i] = grader.grade(f"{i}x+{i}", f"{i}(x+1)")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v.status for v in verdicts.values()] == ["correct"] * 6


def test_a_fork_starts_workers_of_its_own(grader: Grader) -> None:
    assert grader.grade("x+1+1", "x+2").correct
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if grader.grade("x+1+2", "x+3").correct else 1
            grader.close()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert grader.grade("x+1+3", "x+4").correct


def test_close_ends_the_workers_and_a_later_use_starts_new_ones() -> None:
    grader = Grader(GraderConfig())
    assert grader.grade("x+x", "2x").correct
    pids = [worker.process.pid for worker in grader._pool._state.all]
    grader.close()
    assert grader.workers_started == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_parser_that_fails_without_a_word_is_found_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a wrong antlr makes it: it imports, and reads nothing."""
    (tmp_path / "math_verify.py").write_text(
        "ExprExtractionConfig = LatexExtractionConfig = object\n"
        "def parse(*args, **settings): return []\n"
        "def verify(*args, **settings): return False\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Grader(GraderConfig()) as grader:
        assert grader.grade("1/2", "0.5").correct
        with pytest.raises(ConfigError, match=r"cannot parse LaTeX here: .frac12 does not equal 1/2 .*antlr4-9-3"):
            grader.grade("x+x", "2x")
        assert grader.workers_started == 0


def test_the_id_names_library_version_and_rules(grader: Grader) -> None:
    assert grader.id.startswith("math_verify/") and "+dsm" in grader.id


@pytest.mark.parametrize("config", [GraderConfig(name="eval"), GraderConfig(timeout=0)])
def test_a_bad_config_is_refused(config: GraderConfig) -> None:
    with pytest.raises(ConfigError, match=r"grader\.(name|timeout)"):
        Grader(config)


def test_a_signal_to_every_process_of_a_job_does_not_end_the_grader(grader: Grader) -> None:
    """Its parent has a step to finish and to save."""
    assert grader.grade("x+1+4", "x+5").correct
    pids = [worker.process.pid for worker in grader._pool._state.all]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGUSR2)
    assert grader.grade("x+1+5", "x+6").correct
    assert [worker.process.pid for worker in grader._pool._state.all] == pids
