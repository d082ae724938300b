"""The rules of Minerva (Lewkowycz et al., 2022, appendix D): normalise, then SymPy's ``simplify(a - b) == 0``.

Kept with its faults, for comparison: what stands before the last ``=`` is dropped, and units are cut out of words.
The original parses in the scorer's own process; here only a worker does.
"""

from __future__ import annotations

import re

from dsm_repro.reasoning.grading.algebra import Algebra
from dsm_repro.reasoning.grading.estimate import certainly_different

_SUBSTITUTIONS = (
    ("an ", ""),
    ("a ", ""),
    (".$", "$"),
    ("\\$", ""),
    ("\\ ", ""),
    (" ", ""),
    ("mbox", "text"),
    (",\\text{and}", ","),
    ("\\text{and}", ","),
    ("\\text{m}", "\\text{}"),
)
_UNITS = (
    "square ways integers dollars mph inches ft hours km units \\ldots sue points feet minutes digits cents degrees cm "
    "gm pounds meters meals edges students childrentickets multiples \\text{s} \\text{.}"
)
_TEX_MARKS = r"\text{} \mathrm{th} ^\circ ^{\circ} \; ,\! {,}"
#: the order is the paper's, and it matters
_REMOVED = (
    *_UNITS.split(),
    "\\text{\ns}",
    "\\text{}^2",
    "\\text{}^3",
    "\\text{\n}",
    *_TEX_MARKS.split(),
    '"',
    "\\dots",
)
#: (pattern, replacement): what stands in math, \text, \textbf, \overline, \boxed; then TeX's shorthands in full
_REWRITTEN = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(.*?)(\$)(.*?)(\$)(.*)", r"$\3$"),
        (r"(\\text\{)(.*?)(\})", r"\2"),
        (r"(\\textbf\{)(.*?)(\})", r"\2"),
        (r"(\\overline\{)(.*?)(\})", r"\2"),
        (r"(\\boxed\{)(.*)(\})", r"\2"),
        (r"(frac)([^{])(.)", r"frac{\2}{\3}"),
        (r"(sqrt)([^{])", r"sqrt{\2}"),
    )
)


def judge(prediction: str, gold: str, algebra: Algebra) -> tuple[bool | None, str]:
    mine, theirs = normalise(prediction), normalise(gold)
    if mine == theirs:
        return True, "normalised"
    if certainly_different(mine, theirs):
        return False, "value"
    return algebra.difference_is_zero(mine, theirs), "sympy"


def normalise(text: str) -> str:
    text = text.split("=")[-1]
    for written, meant in _SUBSTITUTIONS:
        text = text.replace(written, meant)
    for removed in _REMOVED:
        text = text.replace(removed, "")
    for pattern, replacement in _REWRITTEN:
        text = pattern.sub(replacement, text)
    text = text.replace("$", "")
    plain = text.replace(",", "")
    return plain if plain.isdigit() else text
