"""GSM8K's own solutions as programs: their ``<<48/2=24>>`` become Python, their sentences its comments.

A solution is a list of equations: those that its writer annotated for a calculator and, between them, those
that stand in the sentences alone ("80(.95)=76"). Each becomes a variable, a number that an earlier equation
gave becomes that variable, and the program prints the variable that is the answer:

    # Natalia sold 48/2 = 24 clips in May.
    step1 = 48 / 2
    # Natalia sold 48+24 = 72 clips altogether in April and May.
    step2 = 48 + step1
    print(round(step2))

Everything is worked out here first, in fractions and by a reader of arithmetic that knows five operators, so a
program is given only if it prints the answer, and else the reason why not (``REASONS``). What stays a guess is
*which* equal number a number is: one that the question itself states is taken to be the question's.
"""

from __future__ import annotations

import ast
import copy
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

#: words of questions that state a number
_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100,
    "half": 2, "halve": 2, "twice": 2, "double": 2, "pair": 2, "couple": 2, "triple": 3, "thrice": 3, "third": 3,
    "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
    "dozen": 12, "week": 7,
}  # fmt: skip
#: why a solution has no program
REASONS = {
    "no result": "there is no number after ####",
    "algebra": "an unknown is solved for; no equation computes the answer",
    "no equation": "the sentences hold no equation",
    "unread equation": "no equation gives the answer, and one is wrong or cannot be read",
    "unwritten step": "the equations hold, and the answer is none of their results: the last step is in words",
    "rounded on the way": "the equation of the answer gives another number if the earlier ones are not rounded",
}
#: longer arithmetic than this is no step of a solution
_MAX_EXPRESSION = 200
_MAX_VALUE = 10**15

_RESULT = "####"
_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_NAMES_A_NUMBER = re.compile(r"[ \d.]+=[ \d.]+")
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_THOUSANDS = r"(?<=\d),(?=\d{3})"
_SIDE = rf"(?:[-+*/().\d %]|{_THOUSANDS})"
#: two sides or more, without letters; the last one is a number
_EQUATION = re.compile(rf"[-(.\d]{_SIDE}*(?:={_SIDE}+)*=\s*-?\.?\d(?:[.\d]|{_THOUSANDS})*(?:(?: \d+)?/\d+)?%?")
#: what is counted, between a number and an operator: "2 hours * 60 minutes/hour ="
_UNIT = re.compile(r"(?<=[\d.)%]) *[A-Za-z'’]+(?:[ /-][A-Za-z'’]+){0,3} *(?=[-+*/=)])")
_UNKNOWN = re.compile(r"(?<![A-Za-z'’])[A-Za-z]\s*[-+*/=]|=\s*\d*[A-Za-z](?![A-Za-z'’])|\d[A-Za-z](?![A-Za-z'’])")
_SIGNS = str.maketrans({"÷": "/", "−": "-", "–": "-", "$": " "})
#: an integer and a fraction that mean their sum
_MIXED = re.compile(r"(?<![\d./])(\d+) (\d+/\d+)(?![\d./])")


@dataclass(frozen=True)
class Converted:
    """``program`` is empty exactly where ``reason`` (one of ``REASONS``) is not."""

    program: str = ""
    reason: str = ""


@dataclass(frozen=True)
class _Step:
    """One equation: the line that it stands on, its left side, what that gives, and what the writer says it gives."""

    line: int
    tree: ast.expr
    stated: Fraction
    decimals: int


def convert(question: str, solution: str) -> Converted:
    """A program that prints the number after ``####`` in ``solution``, or the reason why there is none.

    Rounded intermediate results ("10/3 = 3.33") are left exact where the answer comes out so, and rounded as the
    writer did where it does not.
    """
    text, _, result = solution.rpartition(_RESULT)
    result = result.replace("$", "").replace(",", "").strip()
    answer, decimals = _read_number(result), len(result.partition(".")[2])
    if answer is None:
        return Converted(reason="no result")
    lines = [line.strip() for line in text.strip().splitlines()]
    steps, unread = [], 0
    for number, line in enumerate(lines):
        for equation in _equations(line):
            step = _step(number, equation)
            if step is None:
                unread += 1
            else:
                steps.append(step)
    found = [index for index, step in enumerate(steps) if step.stated == answer]
    if not found:
        if _UNKNOWN.search(_ANNOTATION.sub("", text)):
            return Converted(reason="algebra")
        return Converted(reason="unread equation" if unread else "unwritten step" if steps else "no equation")
    given = _stated(question)
    for rounded in (False, True):
        program = _program(lines, steps[: found[-1] + 1], given, answer, decimals, rounded=rounded)
        if program:
            return Converted(program)
    return Converted(reason="rounded on the way")


def _stated(question: str) -> set[Fraction]:
    """The numbers that a question states, in digits or in words."""
    values = map(_read_number, _NUMBER.findall(question.replace(",", "")))
    words = (_WORDS.get(word.removesuffix("s")) for word in re.findall(r"[a-z]+", question.lower()))
    return {value for value in values if value is not None} | {Fraction(word) for word in words if word}


def _equations(line: str) -> Iterator[str]:
    """The equations of a line in their order; of an annotation and the same thing in words, the annotation."""
    plain, annotations = "", list[tuple[int, str]]()
    end = 0
    for match in _ANNOTATION.finditer(line):
        plain += line[end : match.start()]
        # "21*16 = <<336=336>>336": what is computed stands in the words alone
        if not _NAMES_A_NUMBER.fullmatch(match.group(1)):
            annotations.append((len(plain), match.group(1)))
        end = match.end()
    plain += line[end:]
    # one character for one, so that positions stay
    plain = re.sub(r"(?<=[\d)% ])[xX×](?=[ $(.\d])", "*", plain).translate(_SIGNS)
    plain = _UNIT.sub(lambda match: " " * len(match.group()), plain)
    spoken = [
        (match.start(), match.group())
        for match in _EQUATION.finditer(plain)
        if not any(match.start() <= position <= match.end() for position, _ in annotations)
    ]
    for _, equation in sorted([*annotations, *spoken]):
        yield re.sub(_THOUSANDS, "", equation)


def _step(line: int, equation: str) -> _Step | None:
    """None where the equation cannot be read, or does not hold however it is rounded."""
    *left_sides, right = equation.split("=")
    shown = right.strip().removesuffix("%").strip()
    number, decimals = _parse(shown), len(shown.partition(".")[2])
    stated = None if number is None else _evaluate(number)
    if stated is None:
        return None
    for left in left_sides:
        # "40% + 20% = 60%" is in per cent throughout, "50% * 30 = 15" is not
        for percent in ("", "/100") if "%" in equation else ("",):
            tree = _parse(left.replace("%", percent))
            # a number by itself computes none
            if tree is None or isinstance(tree, ast.Constant):
                continue
            value = _evaluate(tree)
            if value is not None and _rounding(value, stated, decimals) is not None:
                return _Step(line, tree, stated, decimals)
    return None


def _parse(text: str) -> ast.expr | None:
    text = _MIXED.sub(r"(\1+\2)", text.replace(",", ""))
    text = re.sub(r"(?<=[\d)])\s*(?=\()|(?<=\))\s*(?=[\d.])", "*", text)
    # Python refuses 007
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", text)
    if not text.strip() or len(text) > _MAX_EXPRESSION:
        return None
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
}


def _evaluate(tree: ast.expr, names: dict[str, Fraction] | None = None) -> Fraction | None:
    """The value of arithmetic in + - * / and //; None for anything else."""
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        return Fraction(str(tree.value))
    if isinstance(tree, ast.Name) and names is not None:
        return names.get(tree.id)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub | ast.UAdd):
        value = _evaluate(tree.operand, names)
        return None if value is None else -value if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        left, right = _evaluate(tree.left, names), _evaluate(tree.right, names)
        if left is None or right is None or (right == 0 and isinstance(tree.op, ast.Div | ast.FloorDiv)):
            return None
        value = _OPERATORS[type(tree.op)](left, right)
        return value if abs(value) < _MAX_VALUE else None
    return None


def _rounding(value: Fraction, stated: Fraction, decimals: int) -> str | None:
    """How ``value`` becomes ``stated``: "" as it is, else a Python expression around ``{}``; None if in no way."""
    if value == stated:
        return ""
    if round(value, decimals) == stated:
        return f"round({{}}, {decimals})" if decimals else "round({})"
    if decimals == 0 and math.floor(value) == stated:
        return "math.floor({})"
    if decimals == 0 and math.ceil(value) == stated:
        return "math.ceil({})"
    return None


def _program(
    lines: list[str], steps: list[_Step], given: set[Fraction], answer: Fraction, decimals: int, *, rounded: bool
) -> str | None:
    """The program of ``steps``, of which the last is the answer; None where it would not print that."""
    values: dict[str, Fraction] = {}
    named: dict[Fraction, str] = {}
    written: list[str] = []
    after = -1
    for number, step in enumerate(steps, 1):
        name = f"step{number}"
        tree = _Reuse(named, given).visit(copy.deepcopy(step.tree))
        value = _evaluate(tree, values)
        if value is None:
            return None
        code = ast.unparse(tree)
        # whole things are rounded because half of one cannot be had, not because the digits end
        how = _rounding(value, step.stated, step.decimals) if rounded or not step.decimals else ""
        if how is None:
            return None
        if how:
            code, value = how.format(code), step.stated
        written += [f"# {_comment(line)}" for line in lines[after + 1 : step.line + 1] if line]
        after = max(after, step.line)
        written.append(f"{name} = {code}")
        values[name] = value
        named[step.stated] = name
    if value != answer:
        return None
    written += [f"# {_comment(line)}" for line in lines[after + 1 :] if line]
    # 0.1 + 0.2 is to print 0.3
    written.append(f"print(round({name}, {decimals}))" if decimals else f"print(round({name}))")
    return "\n".join((["import math"] if "math." in "".join(written) else []) + written)


class _Reuse(ast.NodeTransformer):
    """Numbers that earlier equations gave, and the question did not, become their variables."""

    def __init__(self, named: dict[Fraction, str], given: set[Fraction]) -> None:
        self._named, self._given = named, given

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        value = Fraction(str(node.value))
        name = None if value in self._given else self._named.get(value)
        return node if name is None else ast.Name(name, ast.Load())


def _comment(line: str) -> str:
    return _ANNOTATION.sub("", line)


def _read_number(text: str) -> Fraction | None:
    return Fraction(text) if re.fullmatch(r"-?(?:\d+\.?\d*|\.\d+)", text) else None
