"""The answers that a page carries with it: a bounded choice of questions, with every arm's answer side by side.

Of each arm the first replicate's answer is shown, and how many of its replicates were right. A page holds at most
``MAX_QUESTIONS`` questions and ``MAX_BYTES`` of JSON. Three of four places go to questions on which the arms disagree
(some right, some wrong), the fourth to the others, so that a reader also sees what nobody or everybody gets; within
both kinds the categories take turns, in the order of the questions' ids. Nothing is drawn by chance.

All of it was written by models or comes from data sets: text for a page to show, never markup to run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from dsm_repro.reporting.measures import Measured, Results

MAX_QUESTIONS = 400
MAX_BYTES = 1_000_000
#: of four places, those for questions on which the arms disagree
_SPLIT_OF_FOUR = 3
#: characters shown of each text; the rest is counted
_LONGEST = {"question": 4_000, "completion": 4_000, "program": 3_000, "output": 1_500, "extracted": 300, "reason": 300}
SCHEMA = 1


@dataclass(frozen=True)
class Chosen:
    """What is embedded, and of how much it was chosen."""

    #: ``schema``, ``voices`` and ``questions``: plain JSON
    data: dict[str, Any]
    questions: int
    split: int
    of_questions: int
    of_split: int


def choose(results: Results, most: int = MAX_QUESTIONS, most_bytes: int = MAX_BYTES) -> Chosen | None:
    """The questions to embed, in the order in which they were asked; None where nothing was answered."""
    voices = list(results.measured.values())
    asked = {q: None for m in voices for q in m.questions}
    if not asked:
        return None
    answers = {q: [m.samples[0].get(q) for m in voices] for q in asked}
    split = {q for q, each in answers.items() if len({bool(s.get("correct")) for s in each if s}) > 1}
    right = [_right(m) for m in voices]
    kept: dict[str, dict[str, Any]] = {}
    size = 0
    for q in _order(answers, split):
        if len(kept) == most:
            break
        entry = _entry(q, answers[q], [counts.get(q) for counts in right])
        size += len(json.dumps(entry))
        if size > most_bytes:
            break
        kept[q] = entry
    data = {
        "schema": SCHEMA,
        "voices": [
            {"arm": m.arm, "mode": m.column.id, "seed": m.seeds[0][0], "replicates": len(m.seeds)} for m in voices
        ],
        "questions": [kept[q] for q in asked if q in kept],
    }
    return Chosen(data, len(kept), len(split & kept.keys()), len(asked), len(split))


def script(data: dict[str, Any]) -> str:
    """JSON that can stand inside ``<script type="application/json">``, whatever a text in it says.

    ASCII only (so no U+2028 or U+2029, and no half of a surrogate pair either), without ``<``, ``>`` and ``&``.
    """
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _right(m: Measured) -> dict[str, int]:
    """Question -> in how many replicates it was answered right."""
    return dict(zip(m.questions, m.right.sum(axis=0).astype(int).tolist(), strict=True))


def _order(answers: dict[str, list[dict[str, Any] | None]], split: set[str]) -> Iterator[str]:
    disagreed = _by_turns((q for q in answers if q in split), answers)
    agreed = _by_turns((q for q in answers if q not in split), answers)
    groups = [disagreed[i : i + _SPLIT_OF_FOUR] for i in range(0, len(disagreed), _SPLIT_OF_FOUR)]
    for three, one in zip_longest(groups, agreed):
        yield from three or ()
        if one is not None:
            yield one


def _by_turns(questions: Iterable[str], answers: dict[str, list[dict[str, Any] | None]]) -> list[str]:
    """One of each category, then the next of each, by id."""
    categories: dict[str, list[str]] = defaultdict(list)
    for q in sorted(questions):
        categories[_category(_first(answers[q]))].append(q)
    turns = zip_longest(*(categories[name] for name in sorted(categories)))
    return [q for q in chain.from_iterable(turns) if q is not None]


def _first(samples: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    return next(s for s in samples if s)


def _category(sample: dict[str, Any]) -> str:
    """Its task's name where a task has no categories."""
    category = str(sample.get("category"))
    return str(sample.get("task") or category) if category == "all" else category


def _entry(q: str, samples: Sequence[dict[str, Any] | None], right: Sequence[int | None]) -> dict[str, Any]:
    first = _first(samples)
    return {
        "id": q,
        "category": _text(_category(first), "reason"),
        "level": _text(first.get("level"), "reason"),
        "question": _text(first.get("question") or q, "question"),
        "gold": _text(first.get("gold"), "extracted"),
        "answers": [None if s is None else _answer(s, n) for s, n in zip(samples, right, strict=True)],
    }


def _answer(sample: dict[str, Any], right: int | None) -> dict[str, Any]:
    """Fields without a value are left out."""
    found: dict[str, Any] = {"status": str(sample.get("status") or "unknown")}
    for name in ("completion", "program", "output", "extracted", "reason"):
        text = _text(sample.get(name), name)
        if text:
            found[name] = text
    if sample.get("truncated"):
        found["truncated"] = True
    found["right"] = right or 0
    return found


def _text(value: object, kind: str) -> str:
    text = "" if value is None else str(value)
    longest = _LONGEST[kind]
    return text if len(text) <= longest else f"{text[:longest]} … [{len(text) - longest:,} more characters]"
