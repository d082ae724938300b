"""Whether a parser will read all of an answer, asked before it does.

math-verify passes over what it does not know: of ``5 \\& 6`` it reads one number, of ``> 18`` the 18, and ``3 = 5`` it
takes for its right-hand side. What is listed here it reads; an answer with anything else goes no further, unless the
gold answer has the same sign, which then says the same on both sides.
"""

from __future__ import annotations

import re

from dsm_repro.reasoning.grading.estimate import ROUNDING, estimate
from dsm_repro.reasoning.grading.exact import number

#: of one chain of equations; a longer one is no answer
MAX_SIDES = 8

_COMMANDS = (
    "frac binom dbinom tbinom choose sqrt cdot times div pi infty cup emptyset varnothing mathbb mathbf "
    "boldsymbol overline bar vec hat lvert rvert vert lfloor rfloor lceil rceil lbrace rbrace begin end pm mp sum prod "
    "int sin cos tan sec csc cot arcsin arccos arctan arcsec arccsc arccot sinh cosh tanh log ln lg exp max min gcd "
    "lcm det alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma "
    "tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_READ = frozenset(rf"\{name}" for name in _COMMANDS.split()) | {r"\{", r"\}", "NAME"} | frozenset("+-*/^_()[]{}|,:!")
_FUNCTION_NAMES = "arcsin arccos arctan sinh cosh tanh lcm gcd ln log exp sin cos tan cot sec csc"
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_ORDERS = {"<": "<", ">": "<", r"\lt": "<", r"\gt": "<"} | dict.fromkeys(
    (r"\le", r"\ge", r"\leq", r"\geq", r"\leqslant", r"\geqslant", "≤", "≥"), r"\le"
)
_SAME = {**_ORDERS, r"\neq": r"\ne", "≠": r"\ne", r"\rightarrow": r"\to", "→": r"\to", "≈": r"\approx"}
_OTHER_RELATIONS = (
    "approx sim simeq cong equiv in notin ni subset subseteq supset gg ll propto Rightarrow Leftrightarrow implies iff "
    "leftarrow mapsto mid"
)
_RELATIONS = frozenset(_SAME.values()) | {"=", *(rf"\{name}" for name in _OTHER_RELATIONS.split())}
_TOKEN = re.compile(
    r"\\(?:text\w*|mbox|mathrm|mathit|operatorname)\s*\{(?P<words>[^{}]*)\}|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\.\d+"
    r"|[A-Za-z]+|\*\*|//|\s+|.",
    re.DOTALL,
)
_MATRIX_MARKS = frozenset(("&", r"\\"))
#: \sum_{i=1} has an equals sign and is no equation; degrees are read, a lone \circ is not
_SUBSCRIPTS = re.compile(r"_\{[^{}]*\}|\^\s*\{?\s*\\(?:circ|degree)(?![A-Za-z])\s*\}?")
#: for the equals sign of a subscript; no answer that is graded has a control character
_HIDDEN = "\x00"
_INTERVAL = re.compile(r"[(\[].*,.*[)\]]|.*\\cup.*", re.DOTALL)
_EQUALS = re.compile(r"(?<![<>!\\])=")
RELATION = re.compile(r"[=<>≤≥≠≈]|\\(?:leq?|geq?|neq?|leqslant|geqslant|lt|gt|equiv|in|approx|sim)(?![a-zA-Z])")
_APPROXIMATE = re.compile(r"\\approx(?![A-Za-z])|≈")
#: what a value may be given for: x, x_1, AB, \theta, \angle ABC, f(2), P(A), \sin A, |AB|, [ABC], \text{Area}, Total
_NAME = re.compile(
    r"(?:m\s*)?(?:\\(?:angle|triangle)\s*)?"
    r"(?:[A-Z]{1,4}|[a-z]|\\(?!pi|infty)[a-zA-Z]+|\\(?:overline|vec|mathbf|bar)\{[A-Za-z]+\})"
    r"(?:_\w|_\{[^{}]*\})?"
    r"|\\(?:sin|cos|tan|sec|csc|cot)\s*(?:\\angle\s*)?(?:[A-Z]{1,3}|[a-z]|\\[a-zA-Z]+)"
    r"|[fghpqFGHPQEN](?:'|_\w|\^\{-1\})?\([^()]*\)|\|[A-Z]{2}\||\[[A-Z]{3,6}\]"
    r"|\([a-z](?:\s*,\s*[a-z])+\)|\\(?:text|mathrm|operatorname|mbox)\{[A-Za-z ]+\}(?:\s*\(?[A-Z]{0,4}\)?)"
    r"|[A-Za-z]{2,}(?: [A-Za-z]+)*"
)


def unread(prediction: str, gold: str) -> str | None:
    """Why a parser may not be asked: ``relation`` or ``unread``; None if it may."""
    extra = _signs(_SUBSCRIPTS.sub("", prediction)) - _READ
    if extra:
        extra -= _signs(_SUBSCRIPTS.sub("", gold))
    if extra and extra <= set(_ORDERS.values()) and _INTERVAL.fullmatch(gold) and re.search("[A-Za-z]", prediction):
        # an inequality may describe an interval
        extra.clear()
    if extra:
        return "relation" if extra & _RELATIONS else "unread"
    if prediction.count("|") % 2 or not _balanced(prediction):
        return "unread"
    return None


def sides(text: str) -> list[str] | None:
    """The values that a chain ``name = value = value`` claims to be one; None where it is no chain.

    A rounded value at its end, ``\\sqrt{5} \\approx 2.236``, is left out if it is the rounding.
    """
    if "=" not in text and _APPROXIMATE.search(text) is None:
        return None
    exactly, *rounded = _APPROXIMATE.split(_SUBSCRIPTS.sub(lambda match: match.group().replace("=", _HIDDEN), text))
    parts = [part.strip().replace(_HIDDEN, "=") for part in _EQUALS.split(exactly)]
    if not 2 <= len(parts) + len(rounded) <= MAX_SIDES or not all(parts) or len(rounded) > 1:
        return None
    if rounded and not _is_rounding(rounded[0].strip(), parts[-1]):
        return None
    if len(parts) > 1 and _is_name(parts[0]):
        parts = parts[1:]
    return parts


def _is_name(text: str) -> bool:
    """``p(p+1)`` is a product."""
    return _NAME.fullmatch(text) is not None and (text[1:2] != "(" or text[0] not in text[2:])


def _is_rounding(text: str, of: str) -> bool:
    value, exactly = number(text), estimate(of)
    if value is None or exactly is None or "/" in text or "\\" in text:
        return False
    unit = 10.0 ** -len(text.partition(".")[2])
    return abs(exactly[0] - float(value)) <= unit * (0.5 + ROUNDING) + exactly[1]


def _signs(text: str) -> set[str]:
    """What stands in ``text`` but numbers and letters; relations by one name each, words by their wrapper and text."""
    found = set()
    matrix = r"\begin{" in text
    for match in _TOKEN.finditer(text):
        token, words = match.group(), match["words"]
        if words is not None:
            found.add("NAME" if words.strip() in _FUNCTIONS else "words " + " ".join(words.casefold().split()))
            continue
        plain = token.isspace() or (token[0].isascii() and token[-1].isalnum() and token[0] != "\\")
        if not plain and not (matrix and token in _MATRIX_MARKS):
            found.add(_SAME.get(token, token))
    return found


def _balanced(text: str) -> bool:
    """Each brace closes one; of round and square brackets as many close as open: [0,1) is an interval."""
    depth = 0
    for character in text:
        depth += (character in "{") - (character in "}")
        if depth < 0:
            return False
    opened, closed = (sum(map(text.count, marks)) for marks in ("([", ")]"))
    return depth == 0 and opened == closed
