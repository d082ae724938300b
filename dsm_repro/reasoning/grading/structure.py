"""The outer form of an answer: one value, a list, a set, a tuple or interval, a union, a matrix.

Brackets are part of a tuple or an interval, and its order counts. A set, a union and a bare list (``1, 2``,
``1 \\text{ and } 2``, ``\\pm 2``) have no order, and saying a member twice says it once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from dsm_repro.reasoning.grading import units
from dsm_repro.reasoning.grading.exact import number

#: members of one list, rows × columns of one matrix, ways to choose signs: a longer answer is not taken apart
MAX_MEMBERS = 64
#: independent ± in one member: 2^4 values
MAX_SIGNS = 4

_MEMBERSHIP = re.compile(r"\\?[A-Za-z]+\s*\\in(?![a-zA-Z])\s*")
_ASSIGNED_LIST = re.compile(r"([A-Za-z](?:_\w|_\{\w+\})?)\s*=\s*([^=]*,[^=]*)")
_CONNECTORS = re.compile(
    r"[,;]?\s*\\(?:text|mbox|textrm)\{\s*,?\s*(?:and|or)\s*\}|[,;]?\s+(?:and|or)\s+|[,;]?\s*\\(?:land|lor|vee|wedge)(?![a-zA-Z])"
)
_WHOLE_TEXT = re.compile(r"\\(?:text|textbf|textrm|mbox|mathrm)\{([^{}\\]*)\}")
_COUNTED = re.compile(r"([+-]?\d[\d.,/]*) +([^\d,;]+)")
_LESS, _MORE = r"<|\\leq?(?![a-zA-Z])|\\leqslant|≤", r">|\\geq?(?![a-zA-Z])|\\geqslant|≥"
_BOUNDED = re.compile(rf"([^<>=≤≥]+?)\s*({_LESS})\s*([A-Za-z])\s*({_LESS})\s*([^<>=≤≥]+)")
_HALF_BOUNDED = re.compile(rf"([A-Za-z])\s*({_LESS}|{_MORE})\s*([^<>=≤≥]+)")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}", re.DOTALL)
_EMPTY = re.compile(r"\\emptyset|\\varnothing|\\\{\s*\\\}|∅")
_SIGN = re.compile(r"\\pm(?![a-zA-Z])|\\mp(?![a-zA-Z])")
#: a plus in front of everything says nothing, and a minus stands close
_LEADING_SIGN = re.compile(r"^\s*([+-])\s*")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Form:
    #: single | list | set | tuple | union | matrix
    kind: str
    members: tuple[str, ...]
    #: the brackets of a tuple or interval; the numbers of columns of a matrix's rows
    detail: str = ""

    @property
    def ordered(self) -> bool:
        return self.kind in ("tuple", "matrix")


@lru_cache(maxsize=4_096)
def parse(text: str) -> Form:
    """The form of a cleaned answer. What it cannot take apart is a single value."""
    text = text.strip()
    single = Form("single", (text,))
    if _is_number(text):
        return single
    if match := _MEMBERSHIP.match(text):
        text = text[match.end() :]
    if match := _WHOLE_TEXT.fullmatch(text):
        return _words(text, match[1].strip())
    if _EMPTY.fullmatch(text):
        return Form("set", ())
    if match := _MATRIX.fullmatch(text):
        return _matrix(match[2]) or single
    if match := _ASSIGNED_LIST.fullmatch(text):
        # "n = 1, 2, 3": all of them are n.
        text = match[2]

    parts = _split(_CONNECTORS.sub(",", text), ",;")
    if parts is None:
        return single
    if len(parts) > 1:
        return _unordered("list", _thousands(text) or parts) or single
    unions = _split_word(text, r"\cup")
    if len(unions) > 1:
        return _unordered("union", unions) or single
    if text.startswith(r"\{") and text.endswith(r"\}"):
        inner = _split(_CONNECTORS.sub(",", text[2:-2]), ",;")
        return (inner is not None and _unordered("set", inner)) or single
    if text[:1] in "([" and text[-1:] in ")]" and _closes_at_end(text):
        inner = _split(text[1:-1], ",;")
        if inner is not None and 2 <= len(inner) <= MAX_MEMBERS and all(inner):
            return Form("tuple", tuple(inner), text[0] + text[-1])
        return single
    if _SIGN.search(text):
        return _unordered("list", [text]) or single
    return Form("single", (text,))


def interval(text: str) -> Form | None:
    """The interval that ``x < 5`` or ``1 \\le x < 2`` describes; None for anything else."""
    if match := _BOUNDED.fullmatch(text):
        low, first, _, second, high = match.groups()
        brackets = ("(" if first == "<" else "[") + (")" if second == "<" else "]")
        return None if _is_relation(low + high) else Form("tuple", (low, high), brackets)
    if match := _HALF_BOUNDED.fullmatch(text):
        _, sign, bound = match.groups()
        if _is_relation(bound):
            return None
        if re.fullmatch(_LESS, sign):
            return Form("tuple", (r"-\infty", bound), "()" if sign == "<" else "(]")
        return Form("tuple", (bound, r"\infty"), "()" if sign == ">" else "[)")
    return None


def _is_relation(text: str) -> bool:
    return re.search(f"{_LESS}|{_MORE}|=", text) is not None


def _words(text: str, inside: str) -> Form:
    """``\\text{A, C}`` is a list of words; ``\\text{13}`` is a number; any other words stay as they are."""
    if number(inside) is not None:
        return Form("single", (inside,))
    if (counted := _COUNTED.fullmatch(inside)) and number(counted[1]) is not None:
        # \text{72 clips} is 72\text{ clips}
        return Form("single", (rf"{counted[1]}\text{{ {counted[2]}}}",))
    parts = _split(_CONNECTORS.sub(",", inside), ",;")
    members = [rf"\text{{{part}}}" for part in parts or () if part]
    return (len(members) > 1 and _unordered("list", members)) or Form("single", (text,))


def _unordered(kind: str, members: list[str]) -> Form | None:
    if len(members) > 1 and not members[-1]:
        members = members[:-1]
    if not all(members) or len(members) > MAX_MEMBERS:
        return None
    found: list[str] = []
    for member in members:
        signed = signs(member)
        if signed is None:
            return None
        found += signed
    return Form(kind, tuple(dict.fromkeys(found))) if len(found) <= MAX_MEMBERS else None


def signs(text: str) -> list[str] | None:
    """``text`` with each choice of its ±. ∓ is the other sign of a ± beside it; several ± without ∓ are independent."""
    found = _SIGN.findall(text)
    if not found:
        return [text]
    tied = r"\mp" in found
    if not tied and len(found) > MAX_SIGNS:
        return None
    choices = [("+",) * len(found), ("-",) * len(found)] if tied else list(product("+-", repeat=len(found)))
    return [_LEADING_SIGN.sub(lambda match: match[1].strip("+"), _choose(text, choice)) for choice in choices]


def _choose(text: str, choice: tuple[str, ...]) -> str:
    left = iter(choice)
    return _SIGN.sub(lambda match: "+" if (next(left) == "+") == (match.group() == r"\pm") else "-", text)


def _matrix(body: str) -> Form | None:
    rows = [row.strip() for row in re.split(r"\\\\(?:\[[^\]]*\])?", body)]
    cells = [[cell.strip() for cell in row.split("&")] for row in rows if row]
    members = tuple(cell for row in cells for cell in row)
    if not members or len(members) > MAX_MEMBERS or not all(members):
        return None
    return Form("matrix", members, ",".join(str(len(row)) for row in cells))


def _split(text: str, separators: str) -> list[str] | None:
    """Parts between separators outside all brackets; None if the brackets do not balance."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth < 0:
                return None
        # `\,` and `\;` are spaces, not separators
        elif depth == 0 and character in separators and text[i - 1 : i] != "\\":
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()] if depth == 0 else None


def _split_word(text: str, word: str) -> list[str]:
    return [part.strip() for part in re.split(re.escape(word) + r"(?![a-zA-Z])", text)] if word in text else [text]


def _is_number(text: str) -> bool:
    """The comma of ``\\$1,000`` and of ``1,000 \\text{ m}`` groups digits too."""
    return number(text) is not None or number(units.split(text).text) is not None


def _thousands(text: str) -> list[str] | None:
    """``1,000, 2,000`` is two numbers: a comma without a space behind it groups digits, if all parts agree."""
    parts = re.split(r",\s+", text)
    return parts if len(parts) > 1 and "," in "".join(parts) and all(map(_is_number, parts)) else None


def _closes_at_end(text: str) -> bool:
    """Whether the first bracket is closed by the last one: not so in ``(x+1)(x-1)``. [0,1) closes either way."""
    depth = 0
    for i, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth == 0:
                return i == len(text) - 1
    return False
