"""The rules of MATH's own ``math_equivalence`` (Hendrycks et al., 2021): equal after normalising the text.

Kept with its faults, for comparison: only ``0.5`` is a fraction, ``50\\%`` is 50 and not 0.5, order counts in lists.
No parser, so every verdict costs microseconds.
"""

from __future__ import annotations

from dsm_repro.reasoning.grading.algebra import Algebra

#: in this order
_REPLACED = (
    ("\n", ""),
    ("\\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    ("\\left", ""),
    ("\\right", ""),
    ("^{\\circ}", ""),
    ("^\\circ", ""),
    ("\\$", ""),
)
_UNIT = "\\text{ "


class _MalformedError(Exception):
    """The original raises here, and then compares the texts as they are."""


def judge(prediction: str, gold: str, algebra: Algebra) -> tuple[bool | None, str]:
    try:
        return normalise(prediction) == normalise(gold), "normalised"
    except _MalformedError:
        return prediction == gold, "string"


def normalise(text: str) -> str:
    for written, meant in _REPLACED:
        text = text.replace(written, meant)
    if _UNIT in text:
        if text.count(_UNIT) > 1:
            raise _MalformedError
        text = text.split(_UNIT)[0]
    text = text.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text[0] == ".":
        text = "0" + text
    if text.count("=") == 1:
        name, value = text.split("=")
        text = value if len(name) <= 2 else text
    text = braced_fractions(_braced_roots(text).replace(" ", ""))
    return slash_to_fraction("\\frac{1}{2}" if text == "0.5" else text)


def _braced_roots(text: str) -> str:
    head, *tails = text.split("\\sqrt")
    if not all(tails):
        raise _MalformedError
    return head + "".join("\\sqrt" + (tail if tail[0] == "{" else f"{{{tail[0]}}}{tail[1:]}") for tail in tails)


def braced_fractions(text: str, strict: bool = True) -> str:
    """``\\frac12`` and ``\\frac1{2}`` as ``\\frac{1}{2}``; the text as it is where an argument is missing."""
    head, *tails = text.split("\\frac")
    written = head
    for tail in tails:
        if not tail and strict:
            raise _MalformedError
        if tail[:1] == "{":
            written += "\\frac" + tail
        elif len(tail) < 2:
            return text
        else:
            under = tail[1:] if tail[1] == "{" else f"{{{tail[1]}}}{tail[2:]}"
            written += f"\\frac{{{tail[0]}}}{under}"
    return written


def slash_to_fraction(text: str, roots: bool = False) -> str:
    """``a/b`` as ``\\frac{a}{b}`` for plain integers, and with ``roots`` for what has a root in it."""
    if text.count("/") != 1:
        return text
    parts = text.split("/")
    for part in parts:
        if roots and "sqrt" in part:
            continue
        try:
            if str(int(part)) != part:
                return text
        except ValueError:
            if roots:
                return text
            raise _MalformedError from None
    return f"\\frac{{{parts[0]}}}{{{parts[1]}}}"
