"""The rules of DeepSeek-Math's release (``eval_utils.py``, ``eval_script.py``, ``strip_string``), re-written.

Kept with its faults, for comparison: 50 is 0.5 and 5000 (the percentage rule), 0.0004 is 0.001 (an absolute tolerance
of 10^-3), brackets of intervals do not count, ``5t`` loses its t, ``j`` becomes ``i``.

Different from the release: it evaluates answers as Python where LaTeX does not parse, in its own process; here only a
worker parses, only LaTeX, by another library. It splits an answer at commas where the *question* says "separated by
commas"; a grader sees no question, so it does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from dsm_repro.reasoning.grading.algebra import Algebra, either, every
from dsm_repro.reasoning.grading.estimate import estimate
from dsm_repro.reasoning.grading.hendrycks import braced_fractions, slash_to_fraction

TOLERANCE = 1e-3
#: members of a list, parts of a tuple, cells of a matrix: past it the answer is not taken apart
MAX_MEMBERS = 64
#: tuples in tuples: the release splits at every comma, so that this deep nothing is left
MAX_DEPTH = 8

_AND = re.compile(r"\\text\{\s*and\s*\}")
_LAST_TEXT = re.compile(r"\\text{.*?}$")
_MBOX = re.compile(r"\\mbox{.*?}")
_METRES = re.compile(r"\{(?:c|m)?m\}(?:\^(?:2|3))?")
_BRACKETED = re.compile(r"[(\[].+[)\]]")
_MATRIX = re.compile(r"\\begin\{[pb]matrix\}(.*)\\end\{[pb]matrix\}", re.DOTALL)

#: (before, after) in this order
_MARKS = (
    ("\\$", ""),
    ("$", ""),
    ("x\\in", ""),
    ("\\%", "%"),
    (" .", " 0."),
    ("{.", "{0."),
    ("\\cdot", ""),
    ("infinity", "\\infty"),
)
_ZEROS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(\d+)\.0+([^\d])", r"\1\2"),
        (r"(\d+)\.0+$", r"\1"),
    )
)
_BRACED = tuple(
    (re.compile(pattern), replacement)
    for name in ("sqrt", "tan")
    for pattern, replacement in (
        (rf"\\{name}(-?[0-9.a-zA-Z]+)", rf"\\{name}{{\1}}"),
        (rf"\\{name}\s+(\w+)$", rf"\\{name}{{\1}}"),
    )
)


def judge(prediction: str, gold: str, algebra: Algebra) -> tuple[bool | None, str]:
    """Lists must match both ways; of the prediction only as many as the gold answer has, from its end."""
    golds = members(gold)
    return _lists(members(prediction)[-len(golds) :], golds, algebra), "deepseek"


def members(answer: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in _AND.split(strip_string(answer))))


def strip_string(text: str) -> str:
    text = text.strip().replace("\n", "").rstrip(".").replace("\\!", "")
    if text.startswith("\\text{") and text.endswith("}"):
        text = text.split("{", 1)[1][:-1]
    for name in ("tfrac", "dfrac", "cfrac"):
        text = text.replace(name, "frac")
    text = text.replace("\\left", "").replace("\\right", "")
    # A unit is dropped where something is left without it.
    text = _LAST_TEXT.sub("", text).strip() or text
    text = text.replace("^{\\circ}", "").strip().replace("^\\circ", "").strip()
    text = re.sub(r"p\.m\.$", "", _METRES.sub("", text).strip()).strip()
    text = re.sub(r"(\d)\s*t$", r"\1", text).strip()
    for written, meant in _MARKS:
        text = text.replace(written, meant)
    if "\\infty" not in text:
        text = text.replace("inf", "\\infty")
    text = text.replace("\\mathbf", "").replace("\\mathrm", "")
    text = _MBOX.sub("", text)
    if "j" in text and "i" not in text:
        text = text.replace("j", "i")
    for pattern, replacement in _ZEROS:
        text = pattern.sub(replacement, text)
    if not text:
        return text
    if text[0] == ".":
        text = "0" + text
    for pattern, replacement in _BRACED:
        text = pattern.sub(replacement, text)
    text = braced_fractions(text.replace(" ", ""), strict=False)
    return re.sub(r"(\\|,|\.)+$", "", slash_to_fraction(text, roots=True))


def _lists(predictions: Sequence[str], golds: Sequence[str], algebra: Algebra) -> bool | None:
    if max(len(predictions), len(golds)) > MAX_MEMBERS:
        return False
    table = [[_one(mine, theirs, algebra) for theirs in golds] for mine in predictions]
    rows = every(*(either(*row) for row in table))
    return every(rows, *(either(*(row[i] for row in table)) for i in range(len(golds))))


def _one(prediction: str, gold: str, algebra: Algebra) -> bool | None:
    if "\\cup" in prediction and "\\cup" in gold:
        return _lists(prediction.split("\\cup"), gold.split("\\cup"), algebra)
    value, gold_value = _float(prediction), _float(gold)
    if value is not None and gold_value is not None and abs(value - gold_value) < TOLERANCE:
        return True
    return math_equal(prediction, gold, algebra)


def math_equal(prediction: str, gold: str, algebra: Algebra, depth: int = 0) -> bool | None:
    if prediction == gold:
        return True
    value, gold_value = _digits(prediction), _digits(gold)
    if value is not None and gold_value is not None:
        return any(math.isclose(g, value, abs_tol=TOLERANCE) for g in (gold_value / 100, gold_value, gold_value * 100))
    prediction, gold = prediction.strip(), gold.strip()
    if not prediction or depth > MAX_DEPTH:
        return False

    if _BRACKETED.match(prediction) and _BRACKETED.match(gold):
        inside = _parts(prediction[1:-1].split(","), gold[1:-1].split(","), algebra, depth)
    elif (mine := _MATRIX.fullmatch(prediction)) and (theirs := _MATRIX.fullmatch(gold)):
        inside = _matrices(mine[1], theirs[1], algebra, depth)
    else:
        inside = False
    if inside is True:
        return True
    return either(inside, _equations(prediction, gold, algebra, depth), symbolic_equal(prediction, gold, algebra))


def symbolic_equal(prediction: str, gold: str, algebra: Algebra) -> bool | None:
    mine, theirs = estimate(prediction), estimate(gold)
    # Far apart at one point: neither is the difference zero nor are the values close.
    if mine and theirs and abs(mine[0] - theirs[0]) > max(0.1, 1e-6 * max(mine[1], theirs[1])):
        return False
    zero = algebra.difference_is_zero(prediction, gold)
    return True if zero else either(zero, algebra.values_close(prediction, gold, TOLERANCE))


def _equations(prediction: str, gold: str, algebra: Algebra, depth: int) -> bool | None:
    left, gold_left = prediction.partition("=")[0].strip(), gold.partition("=")[0].strip()
    count, gold_count = prediction.count("="), gold.count("=")
    if count == gold_count == 1:
        mine, theirs = (
            "{} - ({})".format(*(side.strip() for side in equation.split("="))) for equation in (prediction, gold)
        )
        forward = symbolic_equal(mine, theirs, algebra)
        return True if forward else either(forward, symbolic_equal(f"-({mine})", theirs, algebra))
    if count == 1 and gold_count == 0 and len(left) <= 2:
        return math_equal(prediction.split("=")[1], gold, algebra, depth + 1)
    if gold_count == 1 and count == 0 and len(gold_left) <= 2:
        return math_equal(prediction, gold.split("=")[1], algebra, depth + 1)
    return False


def _matrices(mine: str, theirs: str, algebra: Algebra, depth: int) -> bool | None:
    rows, gold_rows = ([row.strip().split("&") for row in body.split("\\\\") if row.strip()] for body in (mine, theirs))
    if len(rows) != len(gold_rows):
        return False
    return every(*(_parts(row, gold_row, algebra, depth) for row, gold_row in zip(rows, gold_rows, strict=True)))


def _parts(mine: Sequence[str], theirs: Sequence[str], algebra: Algebra, depth: int) -> bool | None:
    if len(mine) != len(theirs) or len(mine) > MAX_MEMBERS:
        return False
    return every(*(math_equal(a, b, algebra, depth + 1) for a, b in zip(mine, theirs, strict=True)))


def _float(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def _digits(text: str) -> float | None:
    """``234.23``, or ``23%`` as 0.23."""
    value = _float(text)
    if value is None and text.endswith("%"):
        value = _float(text.replace(",", "")[:-1].removesuffix("\\"))
        value = value / 100 if value is not None else None
    return value
