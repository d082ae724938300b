"""Answers in the notation of Python and SymPy, as programs print them, in LaTeX: ``2*sqrt(3)`` is ``2\\sqrt{3}``.

Text in, text out, and nothing is evaluated. An answer with a backslash is LaTeX already. What is not known here stays
as it is. ``I`` and ``j`` are the imaginary unit unless the gold answer has a variable of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: deeper calls stay as they are
MAX_DEPTH = 12
#: longer answers stay as they are: each call looks for the bracket that closes it
MAX_CHARS = 400

_FUNCTIONS = ("sin", "cos", "tan", "sec", "csc", "cot", "sinh", "cosh", "tanh")
_INVERSE = {f"a{name}": rf"\arc{name}" for name in _FUNCTIONS}
_CONSTANTS = {"pi": r"\pi ", "oo": r"\infty ", "EmptySet": r"\emptyset ", "Reals": r"\mathbb{R}"}
_GREEK = ("alpha", "beta", "gamma", "delta", "theta", "mu", "rho", "sigma", "tau", "phi", "omega")
_INTERVALS = {"": "[]", ".open": "()", ".Lopen": "(]", ".Ropen": "[)"}
_MARKS = re.compile(r"\*\*|[A-Za-z]\w*(?:\.\w+)?\(|\bpi\b|\boo\b|\bI\b|\dj\b|[\[{(].*,|\bEmptySet\b|\bReals\b|theta")
_WORD = re.compile(r"(?<![A-Za-z0-9_.])(\d*\.?\d*)([A-Za-z]+(?:\.[A-Za-z]+)?)(\(?)")
#: a sign, and what follows: a bracket, a number, a name, a command with its argument
_POWER = re.compile(r"\*\*\s*([+-]?)(?:(\()|(\d+(?:\.\d+)?|[A-Za-z]\w*|\\[A-Za-z]+(?:\{[^{}]*\})?))")
_COMPLEX = re.compile(r"\(?([+-]?(?:[\d.]+(?:[eE][+-]?\d+)?[+-])?)([\d.]+)j\)?")


def to_latex(text: str, gold: str) -> str:
    """``text`` in LaTeX where it is in Python's notation, else ``text``."""
    if "\\" in text or text.isdigit() or len(text) > MAX_CHARS or not _MARKS.search(text):
        return text
    if (match := _COMPLEX.fullmatch(text)) and "j" not in gold:
        return f"{match[1]}{match[2]}i"
    if match := re.fullmatch(r"\((.+),\)", text):
        text = match[1]
    if text.startswith("{") and text.endswith("}") and ", " in text:
        text = rf"\{{{text[1:-1]}\}}"
    return _formula(text, gold, 0)


def _formula(text: str, gold: str, depth: int) -> str:
    if depth > MAX_DEPTH:
        return text
    done = []
    at = 0
    while match := _WORD.search(text, at):
        done.append(text[at : match.start()] + match[1])
        at = match.end()
        name, end = match[2], -1
        if match[3]:
            end = _closing(text, match.end() - 1)
        call = _call(name, gold, depth) if end > 0 else None
        if call is not None:
            done.append(call(text[match.end() : end]))
            at = end + 1
        else:
            done.append(_name(name, gold) + match[3])
    return _powers("".join([*done, text[at:]]))


def _name(name: str, gold: str) -> str:
    if name == "I" and not re.search(r"(?<![A-Za-z])I(?![A-Za-z])", gold):
        return "i"
    if name in _GREEK:
        return rf"\{name} "
    return _CONSTANTS.get(name, name)


def _call(name: str, gold: str, depth: int) -> Callable[[str], str] | None:
    """How a call of that name is written; None for a name that is not known."""

    def inner(text: str) -> str:
        return _formula(text, gold, depth + 1)

    def arguments(text: str) -> list[str]:
        return [inner(part) for part in _parts(text)]

    def two(form: str) -> Callable[[str], str]:
        def write(text: str) -> str:
            found = arguments(text)
            return form % tuple(found) if len(found) == 2 else f"{name}({inner(text)})"

        return write

    if name.startswith("Interval"):
        return lambda text: _interval(name.removeprefix("Interval"), arguments(text)) or f"{name}({text})"
    if name in _FUNCTIONS or name in _INVERSE:
        return lambda text: rf"{_INVERSE.get(name, chr(92) + name)}({inner(text)})"
    if name in ("log", "ln"):
        return lambda text: rf"\log({inner(text)})" if r"\log" in gold else rf"\ln({inner(text)})"
    known: dict[str, Callable[[str], str]] = {
        "sqrt": lambda text: rf"\sqrt{{{inner(text)}}}",
        "cbrt": lambda text: rf"\sqrt[3]{{{inner(text)}}}",
        "exp": lambda text: rf"e^{{{inner(text)}}}",
        "Abs": lambda text: f"|{inner(text)}|",
        "abs": lambda text: f"|{inner(text)}|",
        "factorial": lambda text: f"({inner(text)})!",
        "binomial": two(r"\binom{%s}{%s}"),
        "Rational": two(r"\frac{%s}{%s}"),
        "Fraction": two(r"\frac{%s}{%s}"),
        "Eq": two("%s = %s"),
        "floor": lambda text: rf"\lfloor {inner(text)} \rfloor",
        "ceiling": lambda text: rf"\lceil {inner(text)} \rceil",
        "Union": lambda text: r" \cup ".join(arguments(text)),
        "FiniteSet": lambda text: rf"\{{{inner(text)}\}}",
        "Matrix": lambda text: _matrix(text, inner) or f"Matrix({text})",
    }
    return known.get(name)


def _interval(kind: str, ends: list[str]) -> str | None:
    brackets = _INTERVALS.get(kind)
    if brackets is None or len(ends) != 2:
        return None
    # SymPy opens an end at infinity and does not say so.
    left = "(" if "infty" in ends[0] else brackets[0]
    right = ")" if "infty" in ends[1] else brackets[1]
    return f"{left}{ends[0]},{ends[1]}{right}"


def _matrix(text: str, inner: Callable[[str], str]) -> str | None:
    """``[[1, 2], [3, 4]]`` by its rows; ``[1, 2]`` is a column."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    rows = []
    for row in _parts(text[1:-1]):
        cells = _parts(row[1:-1]) if row.startswith("[") and row.endswith("]") else [row]
        rows.append(" & ".join(map(inner, cells)))
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def _powers(text: str) -> str:
    """``x**2`` and ``x**(n + 1)`` with braces around the exponent."""
    while match := _POWER.search(text):
        end = _closing(text, match.end() - 1) if match[2] else match.end()
        if end < 0:
            return text
        exponent = text[match.end() : end] if match[2] else match[3]
        text = f"{text[: match.start()]}^{{{match[1]}{exponent}}}{text[end + bool(match[2]) :]}"
    return text


def _parts(text: str) -> list[str]:
    """Between commas outside all brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()]


def _closing(text: str, opening: int) -> int:
    """Where the bracket that opens there closes; -1 where it does not."""
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    return -1
