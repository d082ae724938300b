"""docs/grading.md says what is right: every row of its tables holds, for every grader it names."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsm_repro.config.checks.evaluation import check_sandbox_and_grader
from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.config.schema import Config
from dsm_repro.reasoning.grading import Grader, deepseek, hendrycks, minerva, structure, units
from dsm_repro.reasoning.grading.compare import Comparison, members
from dsm_repro.reasoning.grading.estimate import certainly_different, estimate
from dsm_repro.reasoning.grading.guards import refusal
from dsm_repro.reasoning.grading.registry import RULE_SETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table with that head."""
    table = PAGE.split(head, 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]


def literal(cell: str) -> str:
    return cell.removeprefix("`").removesuffix("`")


RULES = [
    (rule.split(":")[0], literal(prediction), literal(gold), verdict)
    for rule, prediction, gold, verdict in rows("| rule | prediction | gold | verdict |")
]
COMPARED = [
    (name, literal(prediction), literal(gold), verdict)
    for prediction, gold, *verdicts in rows("| prediction | gold | math_verify |")
    for name, verdict in zip(RULE_SETS, verdicts, strict=True)
]


@pytest.fixture(scope="module")
def graders() -> Iterator[dict[str, Grader]]:
    opened = {name: Grader(GraderConfig(name=name)) for name in RULE_SETS}
    yield opened
    for grader in opened.values():
        grader.close()


@pytest.mark.parametrize(("rule", "prediction", "gold", "status"), RULES)
def test_a_row_of_the_rules(grader: Grader, rule: str, prediction: str, gold: str, status: str) -> None:
    verdict = grader.grade(prediction, gold)
    assert verdict.status == status
    assert verdict.reason == rule or rule == "guards"


@pytest.mark.parametrize(("name", "prediction", "gold", "status"), COMPARED)
def test_a_cell_of_the_comparison(
    graders: dict[str, Grader], name: str, prediction: str, gold: str, status: str
) -> None:
    assert graders[name].grade(prediction, gold).status == status


def test_the_page_and_the_config_know_every_grader(graders: dict[str, Grader]) -> None:
    config = Config()
    for name in RULE_SETS:
        assert f" {name} " in PAGE
        config.grader.name = name
        assert not list(check_sandbox_and_grader(config))
    assert len({grader.id for grader in graders.values()}) == len(RULE_SETS)


def test_each_grader_knows_blank_and_refused_answers(graders: dict[str, Grader]) -> None:
    for grader in graders.values():
        assert [grader.grade(answer, "42").status for answer in (None, " ", "(" * 100)] == [
            "no_answer",
            "no_answer",
            "ungradable",
        ]


def test_what_the_page_says_is_not_covered(grader: Grader) -> None:
    assert grader.grade("6.283185", r"2\pi").correct
    for prediction, gold in (("6.2832", r"2\pi"), (r"e^{i\pi}", "-1"), (r"56\%", r"0.56 = 56\%")):
        assert not grader.grade(prediction, gold).correct


def test_no_module_of_the_grader_calls_an_evaluator() -> None:
    for path in (ROOT / "dsm_repro" / "reasoning" / "grading").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import | ast.ImportFrom)
                else [getattr(node.func, "id", getattr(node.func, "attr", ""))]
                if isinstance(node, ast.Call)
                else []
            )
            assert not {"eval", "exec", "sympify", "parse_expr", "parse_latex", "S"} & set(names), f"{path}: {names}"


# --- forms and units


@pytest.mark.parametrize(
    ("text", "kind", "members"),
    [
        ("1,234", "single", ("1,234",)),
        ("1,000, 2,000", "list", ("1,000", "2,000")),
        ("1, 2; 3", "list", ("1", "2", "3")),
        ("1 and 2", "list", ("1", "2")),
        (r"7, -2, \text{ and } -5", "list", ("7", "-2", "-5")),
        (r"6, 8\text{, and }10", "list", ("6", "8", "10")),
        (r"\{ (1,2), (3,4) \}", "set", ("(1,2)", "(3,4)")),
        (r"\emptyset", "set", ()),
        ("[0,1)", "tuple", ("0", "1")),
        ("(x+1)(x-1)", "single", ("(x+1)(x-1)",)),
        ("(5)", "single", ("(5)",)),
        (r"[0,1) \cup (2,3]", "union", ("[0,1)", "(2,3]")),
        (r"\pm 3", "list", ("3", "-3")),
        (r"\pm 1 \pm i", "list", ("1 + i", "1 - i", "-1 + i", "-1 - i")),
        (r"a \pm b \mp c", "list", ("a + b - c", "a - b + c")),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "matrix", ("1", "2", "3", "4")),
        (r"\begin{vmatrix} 1 & 2 \\ 3 & 4 \end{vmatrix}", "single", None),
        ("1, (2", "single", ("1, (2",)),
        ("1,,2", "single", ("1,,2",)),
    ],
)
def test_the_form_of_an_answer(text: str, kind: str, members: tuple[str, ...] | None) -> None:
    form = structure.parse(text)
    assert form.kind == kind
    assert members is None or form.members == members


@pytest.mark.parametrize(
    ("gold", "n"),
    [("5", 1), ("1,234", 1), ("1, 2", 2), (r"\pm 3", 2), ("(1,2)", 1), (r"\{1,2,3\}", 3), ("(" * 99, 1), ("", 1)],
)
def test_how_many_boxes_make_up_an_answer(gold: str, n: int) -> None:
    assert members(gold) == n


def test_a_list_too_long_is_not_taken_apart() -> None:
    assert structure.parse(",".join(map(str, range(structure.MAX_MEMBERS + 1)))).kind == "single"
    assert structure.parse(r"\pm a" * (structure.MAX_SIGNS + 1)).kind == "single"


def test_lists_in_lists_are_given_up_after_a_bounded_number_of_comparisons() -> None:
    rows = (",".join(f"{letter}{row}" for letter in "abcdefgh") for row in range(25))
    nested = r"\{" + ",".join(rf"\{{{row}\}}" for row in rows) + r"\}"
    started = time.process_time()
    assert Comparison().same(nested, nested.replace("a", r"\alpha ")) is None
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("text", "value", "unit", "known"),
    [
        (r"5\text{ cm}", "5", "centimeter", True),
        (r"5\text{ km}^2", "5", "kilometer^2", True),
        (r"12 \mbox{ square feet}", "12", "foot^2", True),
        (r"90 \text{ sq. units}", "90", "unit^2", True),
        ("60 km/h", "60", "kilometer/hour", True),
        (r"\$3.50", "3.50", "dollar", True),
        ("3.50 dollars", "3.50", "dollar", True),
        ("€5", "5", "euro", True),
        (r"20 \%", "20", "percent", True),
        ("20 percent", "20", "percent", True),
        (r"45^{\circ}", "45", "degree", True),
        (r"20^\circ\text{C}", "20", "degree celsius", True),
        (r"10\;\text{edges}", "10", "edges", False),
        (r"x_{\text{max}}", r"x_{\text{max}}", "", False),
        (r"3 - \text{odd}", r"3 - \text{odd}", "", False),
        (r"\text{even}", r"\text{even}", "", False),
        ("5x", "5x", "", False),
        ("2ab", "2ab", "", False),
        ("3 million dollars", "3e6", "dollar", True),
        (r"2215_{6}", "2215", "base 6", True),
    ],
)
def test_a_value_and_its_unit(text: str, value: str, unit: str, known: bool) -> None:
    found = units.split(text)
    assert (found.text, found.unit, found.known) == (value, unit, known)


# --- estimates


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"2\sqrt{3}", 2 * 3**0.5),
        (r"\frac12", 0.5),
        (r"\frac{1}{2}\pi", 1.5707963267948966),
        (r"-2^2", -4),
        (r"(1+2)(3-1)", 6),
        (r"2\cdot 3/4", 1.5),
        (r"\sqrt[3]{8}", 2),
        (r"x^{10} - x^{10}", 0),
    ],
)
def test_an_estimate_is_the_value(text: str, value: float) -> None:
    found = estimate(text)
    assert found is not None and abs(found[0] - value) < 1e-9


@pytest.mark.parametrize(
    "text",
    [r"\sin x", "2 3", r"3\frac12", "x=1", "1,2", r"1/2x", "2^{9999}", "1/0", "((1)", "1_2", "", "\\"],
)
def test_what_is_not_simple_has_no_estimate(text: str) -> None:
    assert estimate(text) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x^2+2x+1", "(x+1)^2"),
        (r"\sqrt{8}", r"2\sqrt{2}"),
        (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt3}{3}"),
        ("1.414214", r"\sqrt{2}"),
        ("(x+1)^9 - (x+1)^9", "0"),
        (r"\frac{a}{b} \cdot b", "a"),
    ],
)
def test_equal_formulas_are_never_called_different(a: str, b: str) -> None:
    assert not certainly_different(a, b)
    assert certainly_different(a, f"{b} + 1")


# --- normalisers of the published graders


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (r"\tfrac12", r"\frac{1}{2}"),
        ("1/2", r"\frac{1}{2}"),
        ("0.5", r"\frac{1}{2}"),
        (".25", "0.25"),
        (r"\sqrt3", r"\sqrt{3}"),
        (r"10\text{ cm}", "10"),
        (r"12\%", "12"),
        ("x = 3", "3"),
        ("AB = 3", "AB=3"),
        (r"\left( 1, 2 \right)", "(1,2)"),
        (r"90^\circ", "90"),
    ],
)
def test_hendrycks_normalises(text: str, normal: str) -> None:
    assert hendrycks.normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("y = 3", "3"),
        ("1,234", "1234"),
        ("18 dollars", "18"),
        (r"\frac12", r"\frac{1}{2}"),
        (r"\sqrt3", r"\sqrt{3}"),
        (r"5\text{ cm}", "5"),
        (r"\text{even}", "even"),
        ("$x$ is it", "x"),
    ],
)
def test_minerva_normalises(text: str, normal: str) -> None:
    assert minerva.normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        ("5t", "5"),
        ("2.000", "2"),
        (r"10 \text{ cm}", "10"),
        (r"\text{even}", "even"),
        ("3/4", r"\frac{3}{4}"),
        (r"\sqrt2", r"\sqrt{2}"),
        ("2j", "2i"),
        (r"x\in[0,1]", "[0,1]"),
        ("(-inf, 2)", r"(-\infty,2)"),
    ],
)
def test_deepseek_normalises(text: str, normal: str) -> None:
    assert deepseek.strip_string(text) == normal


def test_deepseek_keeps_as_many_answers_as_the_gold_has_from_the_end(graders: dict[str, Grader]) -> None:
    grader = graders["deepseek"]
    assert grader.grade(r"7 \text{ and } 1 \text{ and } 2", r"2 \text{ and } 1").correct
    assert not grader.grade(r"1 \text{ and } 1", r"1 \text{ and } 2").correct


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9^{9^9}", "power_tower"),
        ("9**9**9", "power_tower"),
        ("x^{2^{20}}", "power_tower"),
        ("2^{2^3}", None),
        ("2^{00^5}", None),
        ("(x^{10})^{50}", None),
        ("9!!!", "factorials"),
        ("9!!", None),
        (r"\binom{99999}{2}", "exponent"),
        (r"\binom{10}{3}", None),
        ("2^{2008}", None),
        ("2^{20080}", "exponent"),
        ("1" * 101, "digits"),
        ("1" * 100, None),
        ("(" * 33, "nesting"),
        ("x" * 1_025, "length"),
        ("1\x002", "control_character"),
    ],
)
def test_a_guard_refuses_what_is_too_large_and_nothing_else(text: str, reason: str | None) -> None:
    assert refusal(text) == reason
