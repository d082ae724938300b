"""One tokenizer for shingles, n-grams, token counts and the classifier: it keeps mathematics.

The usual normalisation of web pipelines drops punctuation and maps every number to ``0``, so that
``x^2+3x=10`` and ``x^2-7x=99`` become one string. Here digits, operators and TeX commands are tokens.
"""

from __future__ import annotations

import re

_CJK = r"\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(
    r"\\[A-Za-z]+"  # a TeX command
    r"|\d+"  # a number, its digits together
    rf"|[{_CJK}]"  # Chinese and Japanese have no spaces: one character, one token
    rf"|[^\W\d_{_CJK}]+(?:['’][^\W\d_{_CJK}]+)*"  # a word
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
    return sum(1 for _ in _TOKEN.finditer(text))


def grams(text: str) -> list[str]:
    """The tokens that decontamination compares: words, numbers and operators, without punctuation or brackets.

    The paper does not say what a "gram" is (§2.1). Leaving layout out makes ``$x^{2}+1$``, ``x^2 + 1``
    and ``\\(x^2+1\\)`` one text, so a leak cannot hide behind its markup; different equations stay apart.
    """
    found = []
    for token in tokenize(text):
        token = _SAME.get(token, token)
        if (token[0].isalnum() or len(token) > 1 or token in _OPERATORS) and token not in _LAYOUT:
            found.append(token)
    return found
