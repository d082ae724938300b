"""The rules of ``docs/grading.md`` for answers that are more than a number. Pure: no process, no parser.

Two single values that these rules cannot tell are handed to ``algebra.equal``: in the caller's process that says
"not known", and the whole pair goes to a worker, where the same rules run again with math-verify behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from dsm_repro.reasoning.grading import exact, python_notation, reading, structure, units
from dsm_repro.reasoning.grading.algebra import UNKNOWN, Algebra
from dsm_repro.reasoning.grading.estimate import certainly_different, estimate
from dsm_repro.reasoning.grading.guards import refusal

#: pairs of single values that one comparison looks at; past it, it is not decided here
MAX_COMPARISONS = 2_000

_CHOICE = re.compile(r"\(?\s*([A-Z])\s*\)?")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' .-]*")
_TEXT = re.compile(r"\\(?:text|textbf|textrm|mbox|mathrm|operatorname)\{([^{}\\]*)\}")
_ASSIGNMENT = re.compile(r"([A-Z]{2}|[A-Za-z](?:_\w|_\{\w+\})?(?:\([A-Za-z]\))?)\s*=\s*([^=]+)")
#: a relation between terms, not the value of a name: a + b = 0
_EQUATION = re.compile(r"(?=[^=]*[A-Za-z])[^=]*[^=\s]\s*[+\-*/^][^=]*=[^=]*")
_LETTERS = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]")


def judge(prediction: str, gold: str, algebra: Algebra) -> tuple[bool | None, str]:
    comparison = Comparison(algebra)
    right = comparison.same(python_notation.to_latex(prediction, gold), gold)
    return right, comparison.reason or "math_verify"


def members(gold: str) -> int:
    """How many answers a raw gold answer holds: as many boxes of a completion make up one prediction."""
    if refusal(gold):
        return 1
    form = structure.parse(exact.clean(gold))
    return 1 if form.ordered else max(1, len(form.members))


class Comparison:
    """One prediction against one gold answer, both cleaned. ``reason`` names the rule that decided."""

    def __init__(self, algebra: Algebra = UNKNOWN) -> None:
        self._algebra = algebra
        self._left = MAX_COMPARISONS
        self.reason = ""

    def same(self, prediction: str, gold: str) -> bool | None:
        """True, False, or None where only a parser can tell."""
        answer, gold_answer = structure.parse(prediction), structure.parse(gold)
        if answer.kind == gold_answer.kind == "single":
            return self._same_value(answer.members[0], gold_answer.members[0])
        if "single" in (answer.kind, gold_answer.kind):
            return self._same_kinds_differ(prediction, gold, answer, gold_answer)
        return self._same_members(answer, gold_answer)

    def _same_kinds_differ(
        self, prediction: str, gold: str, answer: structure.Form, gold_answer: structure.Form
    ) -> bool | None:
        several, single = (gold_answer, answer) if answer.kind == "single" else (answer, gold_answer)
        if not several.ordered and len(several.members) == 1:
            # {5} is 5; ±0 too
            return self._same_value(answer.members[0], gold_answer.members[0])
        alone = single.members[0]
        if _words(alone) is not None or estimate(units.split(alone).text) is not None:
            return self._decide("members", False)
        if several.kind == "tuple" and (described := structure.interval(alone)) is not None:
            return self._same_members(described, several)
        if answer.kind == "single" and (chained := self._same_chain(prediction, gold)) is not None:
            return chained[0]
        # A product may be a matrix: a parser may see more than we do.
        return self._ask(prediction, gold)

    def _same_members(self, answer: structure.Form, gold: structure.Form) -> bool | None:
        if answer.kind == "tuple" and answer.detail == "[]" and gold.kind in ("list", "set") and gold.members:
            # Python prints a list so.
            answer = structure.Form("list", tuple(dict.fromkeys(answer.members)))
        if answer.ordered != gold.ordered or (
            answer.ordered and (answer.kind, answer.detail) != (gold.kind, gold.detail)
        ):
            return self._decide("brackets", False)
        if answer.ordered:
            if len(answer.members) != len(gold.members):
                return self._decide("members", False)
            pairs = zip(answer.members, gold.members, strict=True)
            return self._decide("members", _all(self.same(mine, theirs) for mine, theirs in pairs))
        if "union" in (answer.kind, gold.kind) and answer.kind != gold.kind and not _inequalities(answer, gold):
            return self._decide("brackets", False)
        if len(answer.members) == len(gold.members) == 0:
            return self._decide("members", True)
        if not answer.members or not gold.members:
            return self._decide("members", False)
        table = [[self.same(mine, theirs) for theirs in gold.members] for mine in answer.members]
        rows = _all(_any(row) for row in table)
        columns = _all(_any(row[i] for row in table) for i in range(len(gold.members)))
        return self._decide("members", _all((rows, columns)))

    def _same_value(self, prediction: str, gold: str) -> bool | None:
        self._left -= 1
        if self._left < 0:
            return None
        if exact.same_text(prediction) == exact.same_text(gold):
            return self._decide("string", True)
        mine, theirs = units.split(prediction), units.split(gold)
        if units.differ(mine, theirs):
            return self._decide("unit", False)
        if units.PERCENT in (mine.unit, theirs.unit) and mine.unit != theirs.unit:
            return self._same_percent(mine, theirs)
        if (mine.unit or theirs.unit) and (mine.text, theirs.text) != (prediction, gold):
            return self._same_bare(mine.text, theirs.text, "unit")
        return self._same_bare(mine.text, theirs.text, "value")

    def _same_percent(self, mine: units.Measured, theirs: units.Measured) -> bool | None:
        """``50\\%`` is 50 with its unit left out, and it is 0.5; 50 is not 0.5."""
        with_sign, without = (mine.text, theirs.text) if mine.unit == units.PERCENT else (theirs.text, mine.text)
        value, other = exact.number(with_sign), exact.number(without)
        if value is not None and other is not None:
            return self._decide("percent", other in (value, value / 100))
        return self._decide("percent", self._same_bare(mine.text, theirs.text, "percent"))

    def _same_bare(self, prediction: str, gold: str, rule: str) -> bool | None:
        """Two values without their units."""
        value, gold_value = _number(prediction), _number(gold)
        if value is not None and gold_value is not None:
            right = exact.equal_numbers(prediction, value, gold_value)
            return self._decide("number" if rule == "value" else rule, right)
        if exact.same_text(prediction) == exact.same_text(gold):
            return self._decide(rule, True)
        words = self._same_words(prediction, gold)
        if words is not None:
            return self._decide("words", words)
        prediction, gold = units.letters(prediction), units.letters(gold)
        if (assigned := self._same_assignment(prediction, gold)) is not None:
            return assigned[0]
        if (chained := self._same_chain(prediction, gold)) is not None:
            return chained[0]
        if certainly_different(prediction, gold):
            return self._decide("value", False)
        return self._ask(prediction, gold)

    def _ask(self, prediction: str, gold: str) -> bool | None:
        """The parser's word, where it will read all of the prediction."""
        if (reason := reading.unread(prediction, gold)) is not None:
            return self._decide(reason, False)
        return self._algebra.equal(prediction, gold)

    def _same_words(self, prediction: str, gold: str) -> bool | None:
        mine, theirs = _CHOICE.fullmatch(_unwrapped(prediction)), _CHOICE.fullmatch(_unwrapped(gold))
        if mine and theirs and (mine[1] == theirs[1] or _words(prediction) or _words(gold)):
            return mine[1] == theirs[1]
        mine_words, gold_words = _words(prediction), _words(gold)
        if gold_words is not None:
            if mine_words is None and _WORDS.fullmatch(prediction):
                # Without \text{}: letters are words where the gold answer has words.
                mine_words = _fold(prediction)
            return mine_words == gold_words
        if mine_words is not None:
            if _WORDS.fullmatch(gold):
                return mine_words == _fold(gold)
            return False if _number(gold) is not None else None
        return None

    def _same_assignment(self, prediction: str, gold: str) -> tuple[bool | None] | None:
        """``x = 5`` is 5, and is not ``y = 5``; a relation that says more is left to the parser."""
        mine, theirs = _ASSIGNMENT.fullmatch(prediction), _ASSIGNMENT.fullmatch(gold)
        if mine and theirs:
            if mine[1] == theirs[1]:
                return (self._same_value(mine[2], theirs[2]),)
            if not _LETTERS.search(mine[2]) and not _LETTERS.search(theirs[2]):
                return (self._decide("variable", False),)
            return None
        if mine and not reading.RELATION.search(gold):
            return (self._same_value(mine[2], gold),)
        if theirs and not reading.RELATION.search(prediction):
            return (self._same_value(prediction, theirs[2]),)
        # "What is its equation?" is not answered by 0.
        if _EQUATION.fullmatch(gold) and estimate(prediction) is not None:
            return (self._decide("relation", False),)
        return None

    def _same_chain(self, prediction: str, gold: str) -> tuple[bool | None] | None:
        """``2 + 3 = 5`` is 5 if it is true; ``3 = 5`` and ``x + 1 = 5`` are no answer that is a value."""
        if (values := reading.sides(prediction)) is None or reading.RELATION.search(gold):
            return None
        right = _all(self.same(value, gold) for value in values)
        return (self._decide("relation", right),)

    def _decide(self, reason: str, right: bool | None) -> bool | None:
        if right is not None:
            self.reason = reason
        return right


def _inequalities(answer: structure.Form, gold: structure.Form) -> bool:
    """``x < 1 or x > 2`` describes a union."""
    pieces = answer if answer.kind != "union" else gold
    return pieces.kind == "list" and all(structure.interval(member) for member in pieces.members)


def _number(text: str) -> Fraction | None:
    return exact.number(text.strip())


def _unwrapped(text: str) -> str:
    match = _TEXT.fullmatch(text.strip())
    return match[1].strip() if match else text.strip()


def _words(text: str) -> str | None:
    """The words of an answer that is ``\\text{…}`` as a whole, without regard to case; None for anything else."""
    match = _TEXT.fullmatch(text.strip())
    return _fold(match[1]) if match else None


def _fold(text: str) -> str:
    return " ".join(text.casefold().replace(".", " ").split())


def _all(values: Iterable[bool | None]) -> bool | None:
    """False as soon as one is False; None if one is not known."""
    known: bool | None = True
    for value in values:
        if value is False:
            return False
        if value is None:
            known = None
    return known


def _any(values: Iterable[bool | None]) -> bool | None:
    known: bool | None = False
    for value in values:
        if value is True:
            return True
        if value is None:
            known = None
    return known
