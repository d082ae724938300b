"""A floating-point value of a simple formula, to tell answers apart without a computer algebra system.

``2\\sqrt{3}`` and ``3\\sqrt{2}`` differ by more than rounding: no parser need be asked. Letters stand for fixed
numbers, so that two polynomials which differ at that point are different. Only *different* is concluded here: values
that agree prove nothing and are left to the parser, and so is all that this grammar does not know (functions,
subscripted functions, relations, bases). Plain recursive descent over floats: nothing is evaluated as a program, and
time is linear in the length.
"""

from __future__ import annotations

import cmath
import math
import re
import zlib
from functools import lru_cache

#: closer values, relative to the larger, are left to the parser: it rounds too
RELATIVE = 1e-4
#: of each operation, relative to its result: far above a double's 1e-16
ROUNDING = 1e-12
#: larger powers are not computed
MAX_EXPONENT = 1_000.0
#: deeper formulas are not read: each level is a few calls of Python
MAX_DEPTH = 40

#: as a run of letters these are no product of variables
_NAMES = (
    "sqrt cbrt pi exp log ln sin cos tan sec csc cot asin acos atan arcsin arccos arctan sinh cosh tanh abs floor ceil "
    "ceiling max min gcd lcm mod factorial binomial inf infinity oo nan"
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<command>\\[A-Za-z]+)"
    rf"|(?P<name>(?<![A-Za-z])(?:{'|'.join(_NAMES.split())})(?![A-Za-z]))"
    r"|(?P<letter>[A-Za-z])|(?P<mark>\*\*|[-+*/^_(){}\[\]]))",
    re.ASCII,
)
_TIMES = frozenset((r"\cdot", r"\times", "*"))
_OVER = frozenset((r"\div", "/"))
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho sigma tau phi varphi "
    "chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega"
)
_GREEK = frozenset(rf"\{name}" for name in _GREEK_NAMES.split())
#: (value, how far rounding may have taken it from the true one)
_Value = tuple[complex, float]
_CONSTANTS = {"i": 1j, "e": complex(math.e), r"\pi": complex(math.pi)}


class _UnreadableError(Exception):
    """The grammar does not know this; it is no fault of the answer."""


@lru_cache(maxsize=4_096)
def estimate(text: str) -> _Value | None:
    """(value, bound of its rounding error), or None where the text is not that simple."""
    try:
        reader = _Reader(_tokens(text))
        value, error = reader.sum()
        reader.expect_end()
    except (_UnreadableError, ArithmeticError, ValueError):
        return None
    return (value, error) if cmath.isfinite(value) and math.isfinite(error) else None


def certainly_different(a: str, b: str) -> bool:
    """Whether both can be read and their values are further apart than any rounding."""
    left, right = estimate(a), estimate(b)
    if left is None or right is None:
        return False
    return abs(left[0] - right[0]) > max(RELATIVE * max(abs(left[0]), abs(right[0])), left[1] + right[1])


def _rounded(value: complex, error: float) -> _Value:
    return value, error + ROUNDING * abs(value)


def _times(a: _Value, b: _Value) -> _Value:
    return _rounded(a[0] * b[0], abs(a[0]) * b[1] + abs(b[0]) * a[1] + a[1] * b[1])


def _over(a: _Value, b: _Value) -> _Value:
    smallest = abs(b[0]) - b[1]
    if smallest <= 0:
        # It may be a division by zero.
        raise _UnreadableError
    value = a[0] / b[0]
    return _rounded(value, (a[1] + abs(value) * b[1]) / smallest)


def _power(base: _Value, exponent: complex, error: float) -> _Value:
    whole = exponent.imag == 0 and exponent.real == int(exponent.real)
    if not whole and (base[0].imag != 0 or base[0].real < 0) and base[0] != math.e:
        # Which root is meant depends on the convention.
        raise _UnreadableError
    value = base[0] ** (int(exponent.real) if whole else exponent)
    if base[1] > 0:
        if base[1] * abs(exponent) * 2 > abs(base[0]) and exponent != 0:
            # The base may as well be zero: a first-order bound says nothing.
            raise _UnreadableError
        error = error * abs(cmath.log(base[0])) + 2 * abs(exponent) * base[1] / abs(base[0]) if exponent else 0.0
    return _rounded(value, abs(value) * error)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match["name"]:
            raise _UnreadableError
        token = match.group().strip()
        # "2 3" and "3 1/2": which of sum and product is meant is not this module's to say.
        if match["number"] and found and found[-1][0].isdigit():
            raise _UnreadableError
        found.append(token)
        position = match.end()
    if not found:
        raise _UnreadableError
    return found


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise _UnreadableError
        self._at += 1
        return token

    def expect_end(self) -> None:
        if self._peek():
            raise _UnreadableError

    def sum(self) -> _Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _UnreadableError
        negative = False
        while self._peek() in ("+", "-"):
            negative ^= self._take() == "-"
        total, error = self._product()
        total = -total if negative else total
        while self._peek() in ("+", "-"):
            minus = self._take() == "-"
            term, apart = self._product()
            # what cancels leaves the error of the larger term
            error += apart + ROUNDING * max(abs(total), abs(term))
            total = total - term if minus else total + term
        self._depth -= 1
        return total, error

    def _product(self) -> _Value:
        value = self._power()
        while token := self._peek():
            if token in _TIMES or token in _OVER:
                self._take()
                negative = self._peek() == "-" and bool(self._take())
                factor = self._power()
                # a/bc: some read a/(bc)
                if token in _OVER and self._starts_factor():
                    raise _UnreadableError
                value = _over(value, factor) if token in _OVER else _times(value, factor)
                value = (-value[0], value[1]) if negative else value
            elif self._starts_factor():
                if token == r"\frac" and self._tokens[self._at - 1][0].isdigit():
                    # 3\frac12 is a mixed number where exact.py says so
                    raise _UnreadableError
                value = _times(value, self._power())
            else:
                break
        return value

    def _starts_factor(self) -> bool:
        token = self._peek()
        return bool(token) and (token[0].isalnum() or token[0] in ".\\({") and token not in _TIMES | _OVER

    def _power(self) -> _Value:
        base = self._atom()
        if self._peek() not in ("^", "**"):
            return base
        if self._take() == "**" or self._peek() in ("(", "-"):
            # ^( and ^- are not LaTeX's one-token exponents
            raise _UnreadableError
        exponent, error = self._argument()
        if self._peek() in ("^", "**") or abs(exponent) > MAX_EXPONENT:
            raise _UnreadableError
        return _power(base, exponent, error)

    def _atom(self) -> _Value:
        token = self._take()
        if token[0].isdigit() or token[0] == ".":
            if self._peek() == "_":
                raise _UnreadableError
            return _rounded(complex(float(token)), 0.0)
        if token == "(":
            return self._until(")")
        if token == "{":
            return self._until("}")
        if token == r"\frac":
            over = self._argument()
            return _over(over, self._argument())
        if token == r"\sqrt":
            return self._root()
        if token.isalpha() or token in _GREEK or token in _CONSTANTS:
            name = token
            if self._peek() == "_":
                self._take()
                name += "_" + self._subscript()
            elif token in _CONSTANTS:
                return _rounded(_CONSTANTS[token], 0.0)
            return _rounded(_point(name), 0.0)
        raise _UnreadableError

    def _until(self, closing: str) -> _Value:
        value = self.sum()
        self._take(closing)
        return value

    def _argument(self) -> _Value:
        """``{…}``, or the one token that TeX takes: ``\\frac12`` is 1 over 2."""
        token = self._peek()
        if token == "{":
            self._take()
            return self._until("}")
        if token.isdigit():
            if len(token) > 1:
                self._tokens[self._at] = token[1:]
            else:
                self._take()
            return _rounded(complex(int(token[0])), 0.0)
        if token.isalpha() or token in (r"\pi", *_GREEK):
            return self._atom()
        raise _UnreadableError

    def _root(self) -> _Value:
        degree = 2.0
        if self._peek() == "[":
            self._take()
            index = self._take()
            self._take("]")
            if not index.isdigit() or int(index) < 2:
                raise _UnreadableError
            degree = float(index)
        value, error = self._argument()
        if degree != 2.0 and (value.imag != 0 or value.real < 0):
            raise _UnreadableError
        root = cmath.sqrt(value) if degree == 2.0 else complex(value.real ** (1 / degree))
        # near zero a root makes a small error large, but no larger than the root of the error
        small = abs(value) <= 2 * error
        return _rounded(root, (2 * error) ** (1 / degree) if small else abs(root) * 2 * error / abs(value))

    def _subscript(self) -> str:
        token = self._take()
        if token != "{":
            return token
        name = self._take()
        self._take("}")
        return name


def _point(name: str) -> complex:
    """A number for a letter: always the same one, between 1 and 2, in no simple relation to any other."""
    return complex(1 + (zlib.crc32(name.encode()) % 1_000_003) / 1_000_003)
