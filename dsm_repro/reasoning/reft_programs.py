"""Solutions of the data of ReFT (arXiv:2401.08967): a chain of thought and a Python function for each question.

Its lines have ``question``, ``answer``, ``cot`` (which ends in "Therefore, the answer is <40>.") and ``pot``
(``def solution(): ... return result``, with the question in its docstring). They become what a model is to write here:
a solution that ends in a box, and a program that prints its result. Pure text; whether a program prints the right
number is found out by running it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

#: why a line has no pair of solutions
REASONS = {
    "no final answer": "the chain of thought does not end in the answer",
    "another answer": "the chain of thought ends in another number than the answer",
    "no function": "the program is not one function that returns its result at its end",
}
_CLOSING = re.compile(r"\s*(?:Therefore, )?[Tt]he answer is <([^<>]+)>\.?\s*$")


@dataclass(frozen=True)
class Solved:
    """``reason`` (one of ``REASONS``) is empty exactly where both solutions are there."""

    answer: str = ""
    cot: str = ""
    program: str = ""
    reason: str = ""


def is_reft(row: dict[str, Any]) -> bool:
    return isinstance(row.get("cot"), str) and isinstance(row.get("pot"), str)


def solve(row: dict[str, Any]) -> Solved:
    """Both solutions of a line, or why it has not both."""
    answer = _plain(str(row["answer"]))
    closing = _CLOSING.search(row["cot"])
    if closing is None:
        return Solved(reason="no final answer")
    if not same_number(closing[1], answer):
        return Solved(reason="another answer")
    program = as_script(row["pot"])
    if program is None:
        return Solved(reason="no function")
    body = row["cot"][: closing.start()].strip()
    return Solved(answer, f"{body}\nThe answer is $\\boxed{{{answer}}}$.", program)


def as_script(function: str) -> str | None:
    """The body of ``def f():`` as a script that prints what it returned; None where it is anything else."""
    try:
        tree = ast.parse(function)
    except (SyntaxError, ValueError, RecursionError):
        return None
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1 or len(imports) + 1 != len(tree.body) or functions[0].args.args:
        return None
    body = functions[0].body
    if ast.get_docstring(functions[0]) is not None:
        body = body[1:]
    returns = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Return)]
    if len(returns) != 1 or body[-1] is not returns[0] or returns[0].value is None:
        return None
    printed = ast.Expr(ast.Call(ast.Name("print", ast.Load()), [returns[0].value], []))
    script = ast.Module([*imports, *body[:-1], printed], type_ignores=[])
    return ast.unparse(ast.fix_missing_locations(script))


def same_number(a: str, b: str) -> bool:
    """Whether two texts are one number, up to rounding of the last of five digits."""
    try:
        x, y = float(a.replace(",", "")), float(b.replace(",", ""))
    except ValueError:
        return False
    return abs(x - y) <= 1e-4 * max(1.0, abs(y))


def _plain(number: str) -> str:
    return number.removesuffix(".0")
