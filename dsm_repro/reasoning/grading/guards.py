"""What is refused before anything parses it.

The wall clock would end these too, but each would cost its whole limit: one hostile answer in a group
of rollouts must not hold up the step.
"""

from __future__ import annotations

import math
import re

#: the longest gold answer of MATH has under 200 characters
MAX_ANSWER_CHARS = 1_024
#: digits in one number: beyond it, arithmetic on a single number is the attack
MAX_DIGITS = 100
#: depth of (), [] and {} together: the LaTeX parser recurses at every level
MAX_NESTING = 32
#: links of a power tower a^b^c: three already have more digits than memory has bytes
MAX_POWER_TOWER = 2
#: digits of a literal exponent, also of one that is a power itself, and of an argument of a factorial or a binomial
MAX_EXPONENT_DIGITS = 4
#: factorial signs in a row: 9!! is a double factorial, 9!!! has more digits than memory has bytes
MAX_FACTORIALS = 2

_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_LINK = r"(?:\^|\*\*)[\s{(+-]*[\w.\\]+[\s})]*"
_TOWER = re.compile(_LINK * (MAX_POWER_TOWER + 1))
_EXPONENT = re.compile(
    rf"(?:\^|\*\*)[\s{{(+-]*\d{{{MAX_EXPONENT_DIGITS + 1}}}|\d{{{MAX_EXPONENT_DIGITS + 1}}}[\s)}}]*!"
    rf"|\\[dt]?binom\s*\{{?\s*\d{{{MAX_EXPONENT_DIGITS + 1}}}"
)
_NUMBER_TOWER = re.compile(r"(?:\^|\*\*)[\s{(+]*(\d+)\s*(?:\^|\*\*)[\s{(+]*(\d+)", re.ASCII)
_FACTORIALS = re.compile(rf"!(?:\s*!){{{MAX_FACTORIALS}}}")


def refusal(text: str) -> str | None:
    """Why ``text`` must not reach a parser; None if it may. Linear in the length."""
    if len(text) > MAX_ANSWER_CHARS:
        return "length"
    if _CONTROL.search(text):
        return "control_character"
    if _DIGITS.search(text):
        return "digits"
    if _nesting(text) > MAX_NESTING:
        return "nesting"
    if _TOWER.search(text) or any(_many_digits(base, exponent) for base, exponent in _NUMBER_TOWER.findall(text)):
        return "power_tower"
    if _FACTORIALS.search(text):
        return "factorials"
    if _EXPONENT.search(text):
        return "exponent"
    return None


def _many_digits(base: str, exponent: str) -> bool:
    """Whether base^exponent is too long for an exponent; by logarithms, so that it is never computed."""
    value = int(base[:MAX_DIGITS])
    if value < 2:
        return False
    return len(exponent) > MAX_EXPONENT_DIGITS or int(exponent) * math.log10(value) >= MAX_EXPONENT_DIGITS


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest
