"""The value in a clause of plain words: 72 in ``72 clips``, ``72, as required`` and ``Total: 72``.

A number keeps the words behind it where they may be part of what it says: a unit of the table, a scale, words that
change it (``or more``), a name or an operator, a second number. The grader then sees them.
"""

from __future__ import annotations

import re

from dsm_repro.reasoning.grading import units
from dsm_repro.reasoning.grading.exact import number

#: longer clauses are explanations, and stay as they are
MAX_CHARS = 300

_COUNTED = re.compile(
    r"(?P<sign>[-+\u2212]?\\?\$?)(?P<number>\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+| \d+/\d+)?)\$?(?:\*\*)?"
    r"(?P<percent>\s?\\?%)?(?P<words>[\s,(;].*)",
    re.DOTALL,
)
#: words, and marks that are no operators; a hyphen or an apostrophe stands inside a word
_PLAIN = re.compile(r"[\s,;.()\"'!:]*(?:[^\W\d_]+(?:['\u2019-][^\W\d_]+)*[\s,;.()\"'!:]*)+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_SINGLE = frozenset(("a", "A", "I"))
#: as a first word these are read as mathematics, not as nouns
_FACTORS = (
    "pi sqrt sin cos tan log ln exp cube power infinity alpha beta gamma delta theta lambda mu rho sigma tau phi omega"
)
_MATHEMATICS = frozenset(_FACTORS.split())
#: other first words of two letters may be two factors: 5 ab
_SHORT = frozenset(("in", "of", "at", "as", "to", "by", "on", "an", "he", "it", "we", "so", "my", "a"))
#: "72 clips for both", "72 in all": what a sentence adds to a number and not to a formula
_HARMLESS = frozenset(("for", "over", "all"))
_VOWEL = re.compile("[aeiou]")
#: words before a value that keep it from being the answer
_DENIALS = re.compile(
    r"\b(?:not|no|never|wrong|incorrect|false|impossible|isn't|about|approximately|roughly|nearly|maybe|perhaps|than|least"
    r"|most|over|under)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\d{1,2}(?::\d\d)?\s*[ap]\.\s?m\.(?!\w)", re.IGNORECASE)
_LABEL = re.compile(
    r"([A-Za-z][A-Za-z '_-]*[A-Za-z])(?::\s*|\s(?:is|are|equals)\s+(?=[-+\u2212$\\]*\d))(\S.*)", re.DOTALL
)


def value_in(clause: str) -> str:
    """The number in ``clause`` where the rest is words that say no more; else ``clause``."""
    if len(clause) > MAX_CHARS:
        return clause
    if clock := _CLOCK.match(clause):
        return clock.group()
    match = _COUNTED.fullmatch(clause)
    if match is None or number(match["number"]) is None or (unit := _unit_in(match["words"])) is None:
        return clause
    return match["sign"] + match["number"] + (match["percent"] or "") + unit


def unlabelled(line: str) -> str:
    """``72`` of ``Total: 72`` and of ``The total is 72``; ``line`` where no label stands before a value."""
    match = _LABEL.fullmatch(line) if len(line) <= MAX_CHARS else None
    if match is None or _DENIALS.search(match[1]):
        return line
    return match[2]


def ends_sentence(text: str, stop: int) -> bool:
    """Whether the full stop at ``stop`` ends a sentence: not in 3.5, nor in a.m."""
    return not text[stop + 1 : stop + 2].isdigit() and not any(
        match.start() < stop < match.end() for match in _CLOCK.finditer(text, max(0, stop - 12), stop + 4)
    )


def _unit_in(words: str) -> str | None:
    """The unit that ``words`` begin with, "" where they say nothing, None where they may say something else."""
    if not words.strip(" ,;.()"):
        return ""
    if not _PLAIN.fullmatch(words):
        return None
    found = [word if word in _SINGLE else word.lower() for word in _WORD.findall(words)]
    # a single letter is a variable, also at the end of a list: 5, a
    if found[-1] in _SINGLE or any(len(word) == 1 and word not in _SINGLE for word in found) or _MATHEMATICS & {*found}:
        return None
    first, rest = found[0], " ".join(found[1:]).replace("in all", "").split()
    if units.changes_value(" ".join([first, *(word for word in rest if word not in _HARMLESS)])):
        return None
    if words.lstrip()[:1] not in (",", ";", "(") and units.is_known(first):
        # of "5 dollars for both" the grader needs the dollars; 60 miles per hour it takes as a whole
        return None if not rest or rest[0] == "per" or units.is_known(rest[0]) or units.is_power(first) else f" {first}"
    if units.is_known(" ".join(found[:2])) or ((len(first) < 3 or not _VOWEL.search(first)) and first not in _SHORT):
        return None
    return ""
