"""One tokenizer for shingles, n-grams, token counts and the classifier: it keeps mathematics.

The usual normalisation of web pipelines drops punctuation and maps every number to ``0``, so that
``x^2+3x=10`` and ``x^2-7x=99`` become one string. Here digits, operators and TeX commands are tokens.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CJK = r"\u3040-\u30ff\u3400-\u9fff"
_LETTER = rf"[^\W\d_{_CJK}]"
#: the alternatives exclude one another; the common ASCII ones stand first, because they are tried in order
_TOKEN = re.compile(
    r"[A-Za-z]++(?![^\x00-\x7f]|')"  # an ASCII word
    r"|[!-&(-/:-@\[\]-`{-~]"  # an ASCII sign by itself
    r"|\d++"  # a number, its digits together
    rf"|{_LETTER}++(?:['’]{_LETTER}++)*+"  # any other word
    r"|\\[A-Za-z]++"  # a TeX command
    rf"|[{_CJK}]"  # Chinese and Japanese have no spaces: one character, one token
    r"|[^\s\w]|_"  # any other sign by itself
)
#: signs that carry meaning in a formula; brackets and punctuation only carry its layout
_OPERATORS = frozenset("+-*/=<>^%!|~√∑∫∏∂∞≤≥≠≈∈∪∩±")
#: spellings of one operator
_SAME = {
    "×": "*", "·": "*", "⋅": "*", "\\times": "*", "\\cdot": "*", "÷": "/", "\\div": "/", "\\bmod": "%",
    "−": "-", "–": "-",
}  # fmt: skip
#: TeX that only says how a formula looks
_LAYOUT = frozenset(("\\left", "\\right", "\\displaystyle", "\\quad", "\\qquad", "\\text", "\\mathrm", "\\big"))


def tokenize(text: str) -> list[str]:
    """Words, numbers, TeX commands and single signs of ``text``, lower-cased, in order."""
    return _TOKEN.findall(text.lower())


def count_tokens(text: str) -> int:
    """The unit of ``corpus.top_tokens``: how many tokens :func:`tokenize` finds."""
    return len(_TOKEN.findall(text))


def grams(text: str) -> list[str]:
    """The tokens that decontamination compares: words, numbers and operators, without punctuation or brackets.

    The paper does not say what a "gram" is (§2.1). Leaving layout out makes ``$x^{2}+1$``, ``x^2 + 1``
    and ``\\(x^2+1\\)`` one text, so a leak cannot hide behind its markup; different equations stay apart.
    """
    return [gram for token in tokenize(text) if (gram := _gram(token))]


@lru_cache(maxsize=1 << 16)
def _gram(token: str) -> str:
    """What the token is compared as; "" if it only is layout."""
    token = _SAME.get(token, token).replace("’", "'")
    carries = token[0].isalnum() or len(token) > 1 or token in _OPERATORS
    return token if carries and token not in _LAYOUT else ""
