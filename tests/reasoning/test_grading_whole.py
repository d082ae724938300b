"""A right value in an answer that says something else is no right answer; the same value said otherwise is."""

from __future__ import annotations

import pytest

from dsm_repro.reasoning.grading import Grader, units
from dsm_repro.reasoning.grading.estimate import certainly_different, estimate
from dsm_repro.reasoning.grading.reading import sides, unread

#: gold -> what must not be right for it
WRONG = {
    "18": ["> 18", r"\ne 18", r"\text{not } 18", r"18 \text{ or so, maybe } 19"],
    "5": [
        *("< 5", r"\leq 5", r"\gg 5", r"\neq 5", "≠5", r"\approx 5", "3=5", "0=5", "x+1=5", r"5 \approx 6", "2+3=5=6"),
        *("x = 3 = 5", "5?", r"5\_6", r"5\text{, }6", r"5\operatorname{or}6", r"5 \in\{5,6", r"5 \mid 6", "5–6"),
        *("5或6", "5、6", "5，6", "5小时30分钟", "5万", "5以上"),
        *(r"5\text{ to 6}", r"5\text{ squared}", r"5\text{ factorial}", r"5\text{k}", r"5\text{x}", r"5\text{+1}"),
        *(r"5\text{ negative}", r"5\text{ six}", r"5\text{.5}", r"5\text{00}", r"5\text{ is wrong}", r"3+2\mathrm{i}"),
        *(
            r"5\text{ tens}",
            r"5\text{ (approximately)}",
            r"5\text{ hundredths}",
            r"5\text{ below zero}",
            r"5\mathrm{x}",
        ),
    ],
    "6": [
        *("5 = 6", r"5 \to 6", r"5 \& 6", r"5 \notin 6", r"5 \implies 6", r"5 \equiv 6", r"5 \cap 6", r"5 \circ 6"),
        *("5 // 6", "5 .. 6", "5 } { 6", r"5 \# 6", r"5 \% 6", "x(x+1) = 6", "p(p+1) = 6", r"5 \boxed{6}", r"5 \\ 6"),
        r"5 \\ \frac{6}{1}",
    ],
    "3": [
        r"\pi = 3",
        *(r"3\text{ hours 20 minutes}", r"3\text{ h 20 min}", r"3\text{ dozen}", r"3\text{ fourths}", r"3\mathrm{e}"),
        r"3\text{ pairs}",
    ],
    "12": [r"12\text{ dollars 50 cents}", r"12\text{ dollars and }50\text{ cents}"],
    "2": [r"2\mathrm{i}", r"2\operatorname{e}"],
    "1": [r"-1+2\mathrm{i}", "x = 0 = 1"],
    r"\pm 2": [r"\pm 2\mathrm{i}"],
    "x=5": ["3=5", "x+1=5"],
    r"\sqrt5": [
        r"\sqrt5 \text{ or maybe } \sqrt6",
        r"\sqrt5 \approx 2.3",
        r"\sqrt5 \approx \sqrt6",
        r"\sqrt5\mathrm{ or }\sqrt6",
    ],
    r"\frac{\pi}{3}": [
        r"\frac{\pi}{3} \text{ is wrong}",
        r"\frac{\pi}{2} = \frac{\pi}{3}",
        r"\text{not }\frac{\pi}{3}",
    ],
    r"\frac{1}{2}": [r"junk ( \frac{1}{2}", r"? \frac{1}{2}"],
}

#: the same but for what says no more: (prediction, gold)
RIGHT = [
    ("2+3=5", "5"),
    ("x = 2+3 = 5", "5"),
    ("x = 5", "5"),
    ("x_1 = 5", "5"),
    (r"\theta = 30^\circ", "30"),
    ("f(2) = 5", "5"),
    (r"P(A) = \frac12", "0.5"),
    (r"\sin A = \frac12", "0.5"),
    ("|AB| = 5", "5"),
    (r"\angle ABC = 30", "30"),
    (r"\text{Area} = 5\text{ cm}^2", "5"),
    ("f(x) = 2x+1", "1+2x"),
    (r"\mathbf{v} = \begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ("(x,y) = (1,2)", "(1,2)"),
    (r"\sqrt5 \approx 2.236", r"\sqrt5"),
    (r"x = \sqrt5 \approx 2.24", r"\sqrt5"),
    ("2y = 4x+2", "y=2x+1"),
    ("5 < x", "x>5"),
    (r"\sum_{i=1}^{10} i", "55"),
    (r"\sin 30^\circ + x", r"x + \sin 30^\circ"),
    (r"\boxed{5}", "5"),
    (r"2\mathrm{i}", "2i"),
    (r"3+2\mathrm{i}", "2i+3"),
    (r"\mathrm{e}^2+1", "1+e^2"),
    ("3 + 5i", "5i + 3"),
    (r"5\mathrm{m}", "5"),
    (r"5\text{ clips}", "5"),
    (r"5\text{ (clips)}", "5"),
    (r"5\text{ times}", "5"),
    (r"50\%\text{ of the students}", r"50\%"),
    ("5th", "5"),
    (r"5^{\text{th}}", "5"),
    (r"\text{72 clips}", "72"),
    ("5个苹果", "5"),
    ("5小时", "5"),
    ("5千米", "5"),
    ("5，6", "5, 6"),
    ("50％", "0.5"),
    ("5÷6", "5/6"),
]


@pytest.mark.parametrize(("prediction", "gold"), [(text, gold) for gold, texts in WRONG.items() for text in texts])
def test_more_than_the_value_is_wrong(grader: Grader, prediction: str, gold: str) -> None:
    assert grader.grade(prediction, gold).status == "incorrect"


@pytest.mark.parametrize(("prediction", "gold"), RIGHT)
def test_the_value_said_otherwise_is_right(grader: Grader, prediction: str, gold: str) -> None:
    assert grader.grade(prediction, gold).correct


def test_two_units_of_chinese_differ(grader: Grader) -> None:
    assert grader.grade("5小时", "5分钟").reason == "unit"


@pytest.mark.parametrize(
    ("prediction", "gold", "reason"),
    [
        ("> 18", "18", "relation"),
        ("5 = 6", "6", "relation"),
        (r"5 \& 6", "6", "unread"),
        (r"x \text{ if odd}", r"x \text{ if even}", "unread"),
        ("x > 5", r"x \ge 5", "relation"),
        ("x > 5", "5 < x", None),
        ("x > 5", r"(5,\infty)", None),
        ("5 > 4", r"(5,\infty)", "relation"),
        (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", "x", None),
        (r"x \triangle y", "x", "unread"),
        (r"x \triangle y", r"y \triangle x", None),
        ("(x", "x", "unread"),
        ("[0,1)", "x", None),
        ("|x", "x", "unread"),
    ],
)
def test_what_a_parser_would_pass_over(prediction: str, gold: str, reason: str | None) -> None:
    assert unread(prediction, gold) == reason


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x", None),
        ("2+3=5", ["2+3", "5"]),
        ("x = 2+3 = 5", ["2+3", "5"]),
        ("a+b = 5", ["a+b", "5"]),
        ("f(2) = 5", ["5"]),
        ("p(p+1) = 6", ["p(p+1)", "6"]),
        (r"\sum_{i=1}^3 i = 6", [r"\sum_{i=1}^3 i", "6"]),
        (r"\sqrt5 \approx 2.24", [r"\sqrt5"]),
        (r"\sqrt5 \approx 2.3", None),
        (r"\sin 1 \approx 0.84", None),
        ("=5", None),
        ("x" + "=1" * 9, None),
    ],
)
def test_the_sides_of_a_chain(text: str, values: list[str] | None) -> None:
    assert sides(text) == values


# --- small values

NEAR = [
    (r"\frac{1}{2^{97}}", r"\frac{1}{2^{98}}"),
    ("0.0", r"\frac{1}{2^{22}}"),
    ("0.0", r"\frac{1}{2^{98}}"),
    ("0.0", r"\frac{\pi}{2^{30}}"),
    ("0", r"\frac{\pi}{2^{30}}"),
    (r"\frac{1}{30!}", r"\frac{1}{29!}"),
    (r"1-\frac1{2^{99}}", r"1-\frac1{2^{100}}"),
    (r"2 - \frac{1}{2^{99}}", r"2-\frac{1}{2^{98}}"),
    (r"\sqrt2 + \frac{1}{2^{99}}", r"\sqrt2"),
    (r"\frac{\sqrt2}{2^{98}}", r"\frac{\sqrt2}{2^{97}}"),
    ("0.083333", r"\frac{1}{3 \cdot 4}"),
]


@pytest.mark.parametrize(("prediction", "gold"), NEAR)
def test_values_that_differ_by_little_differ(grader: Grader, prediction: str, gold: str) -> None:
    assert grader.grade(prediction, gold).status == "incorrect"
    assert grader.grade(gold, gold).correct


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        (r"\frac{1}{2^{98}}", "2^{-98}"),
        (r"1-\frac{1}{2^{99}}", r"\frac{2^{99}-1}{2^{99}}"),
        (r"\frac{1}{30!}", r"\frac{1}{30 \cdot 29!}"),
        ("0.125", "2^{-3}"),
        ("0.08333333333333333", r"\frac{1}{3 \cdot 4}"),
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
        (r"\sin\frac{\pi}{6}", r"\frac12"),
        ("3.141592653589793", r"\pi"),
        (r"\sqrt2 - \sqrt2", "0"),
    ],
)
def test_small_and_long_values_that_are_equal_are_right(grader: Grader, prediction: str, gold: str) -> None:
    assert grader.grade(prediction, gold).correct


def test_what_cancels_and_is_multiplied_up_again_is_left_to_the_parser() -> None:
    """10^6·(√(10^12+1) − 10^6) is 0.4999…: a double has only the first digits of it, and 10^9 times that loses all."""
    cancelled = r"(\sqrt{10^{24}+1} - 10^{12}) \cdot 10^{15}"
    assert estimate(cancelled) is not None
    assert not certainly_different(cancelled, "500")
    assert certainly_different(r"\frac{1}{2^{97}}", r"\frac{1}{2^{98}}")


@pytest.mark.parametrize("text", ["sqrt(2)", "2*pi", "exp(1)", "5 sin x", "oo"])
def test_letters_that_spell_a_function_are_no_product(text: str) -> None:
    assert estimate(text) is None


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        (r"2\mathrm{i}", r"2\mathrm{i}", ""),
        (r"5\text{ m}", "5", "meter"),
        (r"5\text{ xy}", r"5\text{ xy}", ""),
        (r"5\text{ eggs, in total}", "5", "eggs, in total"),
        ("5个月", "5", "month"),
        ("3rd", "3", "ordinal"),
    ],
)
def test_what_is_a_noun(text: str, value: str, unit: str) -> None:
    found = units.split(text)
    assert (found.text, found.unit) == (value, unit)
