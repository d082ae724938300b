"""Answers as Python and SymPy print them."""

from __future__ import annotations

import time

import pytest

from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.grading.python_notation import MAX_CHARS, to_latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("sqrt(2)", r"\sqrt{2}"),
        ("3*sqrt(sqrt(2) + 1)/2", r"3*\sqrt{\sqrt{2} + 1}/2"),
        ("x**2 + 2*x + 1", "x^{2} + 2*x + 1"),
        ("x**(n + 1)", "x^{n + 1}"),
        ("2**-3", "2^{-3}"),
        ("2**sqrt(2)", r"2^{\sqrt{2}}"),
        ("3 + 4*I", "3 + 4*i"),
        ("(3+4j)", "3+4i"),
        ("2*pi", r"2*\pi "),
        ("Interval.Lopen(1, 2)", "(1,2]"),
        ("Interval(-oo, 2)", r"(-\infty ,2]"),
        ("Matrix([1, 2])", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        ("{1, 2}", r"\{1, 2\}"),
        ("(72,)", "72"),
        ("5", "5"),
        ("[1,2]", "[1,2]"),
        ("AIM", "AIM"),
        ("f(x)", "f(x)"),
        ("sqrt(2", "sqrt(2"),
        (r"\frac{pi}{3}", r"\frac{pi}{3}"),
        ("pie", "pie"),
    ],
)
def test_python_in_latex(text: str, latex: str) -> None:
    assert to_latex(text, "5") == latex


def test_a_letter_of_the_gold_answer_stays_a_variable() -> None:
    assert to_latex("2*I", "2I") == "2*I"
    assert to_latex("2j", "2j") == "2j"
    assert to_latex("log(2)", r"\log 2") == r"\log(2)"
    assert to_latex("log(2)", r"\ln 2") == r"\ln(2)"


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        ("sqrt(2)", r"\sqrt{2}"),
        ("2*sqrt(3)", r"2\sqrt{3}"),
        ("3*sqrt(2)/2", r"\frac{3\sqrt2}{2}"),
        ("10*pi", r"10\pi"),
        ("2/3*pi", r"\frac{2\pi}{3}"),
        ("3 + 4*I", "3+4i"),
        ("-1/2 + sqrt(3)*I/2", r"-\frac12+\frac{\sqrt3}{2}i"),
        ("500*i - 375", "-375 + 500i"),
        ("x**2 + 2*x + 1", "x^2+2x+1"),
        ("2**10", "1024"),
        ("[1, 2]", "1,2"),
        ("[2, 1]", r"\{1, 2\}"),
        ("[1,2]", "[1,2]"),
        ("{1, 2}", "1,2"),
        ("(1, 2)", "(1,2)"),
        ("[-sqrt(2), sqrt(2)]", r"\pm\sqrt2"),
        ("Interval(1, 2)", "[1,2]"),
        ("Union(Interval.open(1, 2), Interval(3, oo))", r"(1,2) \cup [3,\infty)"),
        ("oo", r"\infty"),
        ("Matrix([[1,2],[3,4]])", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
        ("Fraction(1, 2)", r"\frac12"),
        ("exp(2)", "e^2"),
        ("factorial(5)", "120"),
        ("binomial(5, 2)", "10"),
        ("Eq(x, 5)", "5"),
        ("asin(x)", r"\arcsin x"),
    ],
)
def test_what_a_program_prints_is_right(grader: Grader, prediction: str, gold: str) -> None:
    assert grader.grade(prediction, gold).correct


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        ("sqrt(2)", "2"),
        ("2*pi", "2"),
        ("3*I", "3"),
        ("2**10", "1023"),
        ("2**10", "20"),
        ("[1, 3]", "1,2"),
        ("[1, 2, 3]", "1,2"),
        ("[1,2]", "(1,2)"),
        ("(1, 2)", "1,2"),
        ("Interval(1, 2)", "(1,2)"),
        ("sqrt(2) or 5", r"\sqrt2"),
        ("5 if True else 6", "5"),
        ("Matrix([[1,2],[3,4]])", r"\begin{pmatrix} 1 & 3 \\ 2 & 4 \end{pmatrix}"),
    ],
)
def test_and_other_values_are_wrong(grader: Grader, prediction: str, gold: str) -> None:
    assert grader.grade(prediction, gold).status == "incorrect"


@pytest.mark.parametrize("text", ["sqrt(" * 80, "x**" * 130, "Interval(" * 40 + ")" * 40, "2**(" * 90 + "1" + ")" * 90])
def test_hostile_text_takes_no_time(text: str) -> None:
    started = time.process_time()
    to_latex(text[:MAX_CHARS], "5")
    assert time.process_time() - started < 0.2
