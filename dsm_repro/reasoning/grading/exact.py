"""The cheap paths: equal text and exact numbers, without sympy.

Most answers of grade-school and of synthetic problems are decided here, in about a microsecond.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

#: a text beyond this is no plain number
MAX_NUMBER_CHARS = 120
#: Python prints a float with up to 17 significant digits; nobody writes 15 by hand
PRINTED_FLOAT_DIGITS = 15
#: how far such a float may lie from the gold value, relative to it: its own rounding, a few operations long
PRINTED_FLOAT_TOLERANCE = Fraction(1, 10**12)

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_SLASH = re.compile(r"([+-]?)\(?([+-]?\d+)\)?/\(?(\d+)\)?", re.ASCII)
_FRAC = re.compile(r"([+-]?)\\frac(?:\{([+-]?\d+)\}|(\d))(?:\{([+-]?\d+)\}|(\d))", re.ASCII)
_MIXED = re.compile(r"([+-]?)(\d+)(?: (\d+)/(\d+)| ?\\frac\{(\d+)\}\{(\d+)\}| ?\\frac(\d)(\d))", re.ASCII)
_THOUSANDS = re.compile(r"([+-]?\d{1,3})((?:(?:,|\{,\}| )\d{3})+)((?:\.\d*)?)", re.ASCII)

#: LaTeX that changes how an answer looks and not what it says
_NOTHING = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|[bB]igg?[lr]?)(?![a-zA-Z])|(?<!\\)\\[!,;: ]"
    r"|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_WRAPPERS = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\{([^{}\\]*)\}")
_FRACTIONS = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
#: a comma that groups digits, as LaTeX sets it: 1,\!000 and 1{,}000
_GROUPING = re.compile(r"(?<=\d)(?:,\s*\\!|\{,\})\s*(?=\d{3})")
_SAME_SIGN = (
    ("\u2212", "-"),
    ("±", r"\pm "),
    ("∞", r"\infty "),
    ("π", r"\pi "),
    ("\u2044", "/"),
    ("×", r"\times "),
    ("÷", r"\div "),
    ("、", ", "),
    ("。", "."),
    # full-width digits and signs of Chinese text, U+FF05 to U+FF1D
    *((chr(0xFEE0 + ord(sign)), sign) for sign in "0123456789%()+,-./:="),
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_SPACES = re.compile(r"\s+")
_LOOSE_SIGN = re.compile(r"^([+-]) (?=[\d.\\])")
#: a space between two words or numbers keeps them apart: "1 2" is not "12"
_LOOSE_SPACE = re.compile(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])")


def clean(text: str) -> str:
    """``text`` without marks that do not change its meaning: math delimiters, spacing commands, ``\\left``,
    invisible characters, the full stop at the end."""
    text = _NOTHING.sub("", _GROUPING.sub(",", text)).replace("~", " ")
    if not text.isascii():
        for written, meant in _SAME_SIGN:
            text = text.replace(written, meant)
    text = _FRACTIONS.sub(r"\\frac", text)
    text = _LOOSE_SIGN.sub(r"\1", _SPACES.sub(" ", text).strip())
    while True:
        before = text
        for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**")):
            if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
                text = text[len(opening) : -len(closing)].strip()
        if text[:1] == "\\" and (box := _BOX.match(text)) and closing_brace(text, box.end()) == len(text) - 1:
            text = text[box.end() : -1].strip()
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1].rstrip()
        if text == before:
            break
    return text


def closing_brace(text: str, start: int) -> int:
    """Where the brace closes inside which ``start`` is; -1 if nowhere."""
    depth = 1
    for i in range(start, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i
    return -1


def same_text(text: str) -> str:
    """A form that is equal for answers that are spelled the same but for spaces and ``\\text{}``."""
    return _LOOSE_SPACE.sub("", _WRAPPERS.sub(r"\1", text))


@lru_cache(maxsize=65_536)
def number(text: str) -> Fraction | None:
    """The exact value of a plain number, else None.

    That is ``-12``, ``1,234.50``, ``.5``, ``3/4``, ``\\frac34``, ``3 1/2`` or ``1e-3``.
    """
    if len(text) > MAX_NUMBER_CHARS:
        return None
    if _INTEGER.fullmatch(text):
        return Fraction(int(text))
    if match := _THOUSANDS.fullmatch(text):
        text = match[1] + re.sub(r"\D", "", match[2]) + match[3]
    if _DECIMAL.fullmatch(text):
        return Fraction(text if text[-1] != "." else text[:-1])
    if match := _SLASH.fullmatch(text):
        sign, over, under = match.groups()
    elif match := _FRAC.fullmatch(text.replace(" ", "")):
        sign, over, under = match[1], match[2] or match[3], match[4] or match[5]
    elif match := _MIXED.fullmatch(text):
        # A whole number before a proper fraction is a mixed number, not a product.
        sign, whole = match[1], int(match[2])
        over, under = (part for part in match.groups()[2:] if part is not None)
        if int(over) >= int(under):
            return None
        over = str(whole * int(under) + int(over))
    else:
        return None
    if int(under) == 0:
        return None
    return Fraction(int(over), int(under)) * (-1 if sign == "-" else 1)


def equal_numbers(prediction: str, value: Fraction, gold: Fraction) -> bool:
    """Exactly equal; a prediction that is visibly a printed float may be off by a float's rounding."""
    if value == gold:
        return True
    mantissa = re.split("[eE]", prediction, maxsplit=1)[0]
    if "." not in mantissa or sum(c.isdigit() for c in mantissa.lstrip("+-0.")) < PRINTED_FLOAT_DIGITS:
        return False
    return abs(value - gold) <= PRINTED_FLOAT_TOLERANCE * max(abs(gold), 1 if gold == 0 else 0)
