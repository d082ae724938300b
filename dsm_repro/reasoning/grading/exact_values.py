"""Exact values of what a parser has read: math-verify rounds to six decimals, and its formulas to fifteen digits.

Runs in the worker alone, where a wall clock ends it. SymPy is imported at the first use.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dsm_repro.reasoning.grading import exact

#: digits at which two formulas that math-verify calls equal are compared again
DIGITS = 60
#: how far they may lie apart then, relative to the larger
TOLERANCE = 1e-45
#: 0 that comes of cancelling has no digits to be relative to
SMALLEST = 1e-10

#: what SymPy raises where a form has no value
NO_VALUE = (TypeError, ValueError, AttributeError, NotImplementedError)


def equal(prediction: str, gold: str, parsed_prediction: Any, parsed_gold: Any) -> bool | None:
    """Whether two rational values are one; None where a side is not rational, or a float in a formula."""
    gold_value = _first(exact.number(gold), parsed_gold)
    if gold_value is None:
        return None
    written = exact.number(prediction)
    value = _first(written, parsed_prediction)
    if value is None:
        return None
    return value == gold_value if written is None else exact.equal_numbers(prediction, value, gold_value)


def agree(prediction: Any, gold: Any) -> bool:
    """False where two exact numbers differ past the fifteen digits that math-verify compares."""
    if not (_is_exact_number(prediction) and _is_exact_number(gold)):
        return True
    try:
        a, b = complex_digits(prediction), complex_digits(gold)
        return bool(abs(a - b) <= TOLERANCE * max(abs(a), abs(b), SMALLEST))
    except (*NO_VALUE, ArithmeticError):
        # It has no such value; what math-verify said of its form stands.
        return True


def complex_digits(value: Any) -> Any:
    """``value`` as a number of mpmath with that many digits."""
    from mpmath import mp

    mp.dps = DIGITS
    real, imaginary = value.evalf(DIGITS).as_real_imag()
    return mp.mpc(mp.mpf(real), mp.mpf(imaginary))


def _first(written: Fraction | None, parsed: Any) -> Fraction | None:
    return written if written is not None else _rational(parsed)


def _rational(parsed: Any) -> Fraction | None:
    from sympy import Rational

    if not _is_exact_number(parsed):
        return None
    try:
        value = parsed.doit()
    except (*NO_VALUE, ArithmeticError):
        return None
    return Fraction(int(value.p), int(value.q)) if isinstance(value, Rational) else None


def _is_exact_number(parsed: Any) -> bool:
    from sympy import Expr, Float, Integral, Limit, Product, Sum

    return isinstance(parsed, Expr) and bool(parsed.is_number) and not parsed.has(Float, Integral, Limit, Product, Sum)
