"""The deep dive's router: rules on the question decide whether it is answered in words or by a program.

Its pseudocode asks for a program where a question "requires symbolic computation" or "requires numerical" work, and for
words elsewhere; its table gives geometry and proofs to words. It does not say how that is told, so the rules are ours,
and so is their order: proofs and geometry, then symbolic, then numerical. The paper has no router: in the release the
prompt decides. Here it is a baseline for a model that chooses by itself (``evaluation.modes=[hybrid]``).
"""

from __future__ import annotations

import re

#: raised when a rule changes
VERSION = 1
#: modes that ask in the wording of others
KINDS_OF = {"router": ("cot", "pot")}

_WORDS = re.compile(
    r"\b(?:prove|proof|show that|explain|justify|why|triangles?|circles?|rectangles?|squares?|polygons?|angles?|"
    r"perimeters?|areas?|parallel|perpendicular|radius|diameter)\b|证明|三角形|圆|矩形|面积|周长",
    re.IGNORECASE,
)
_SYMBOLIC = re.compile(
    r"\b(?:solve|factor|expand|simplify|polynomials?|equations?|roots?|derivatives?|integrals?|limits?|matrix|"
    r"determinant|in terms of|dot product)\b|\\int|\\sum|\\lim|[a-z]\^|方程|化简|展开",
    re.IGNORECASE,
)
_NUMERICAL = re.compile(
    r"\d|\b(?:how many|how much|compute|calculate|evaluate|total|average|percent|gcd|lcm)\b|多少|几", re.IGNORECASE
)


def route(question: str) -> tuple[str, str]:
    """(``pot`` or ``cot``, the rule that says so: words | symbolic | numerical | else)."""
    if _WORDS.search(question):
        return "cot", "words"
    if _SYMBOLIC.search(question):
        return "pot", "symbolic"
    if _NUMERICAL.search(question):
        return "pot", "numerical"
    return "cot", "else"
