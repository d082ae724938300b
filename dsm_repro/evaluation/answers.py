"""The answer of a completion where the shared order of extraction does not know the task: choices, and Chinese.

A choice is a letter, named last behind "answer is", "答案是" or in a box. In Chinese an answer stands behind "答案是"
where it is not boxed; the shared rules would take the last number instead, which a formula may end in.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from dsm_repro.config.schema import Config
from dsm_repro.evaluation import suite
from dsm_repro.reasoning.answers import answer_to
from dsm_repro.reasoning.extraction import MAX_ANSWER_CHARS, MAX_COMPLETION_CHARS, Extracted, boxed

#: names these rules in a protocol; raised when one changes
ID = "choices and Chinese/1"
_LETTER = re.compile(r"(?<![A-Za-z])\(?([A-E])\)?(?![A-Za-z])")
_NAMED = re.compile(r"(?:answer|choice) is|答案(?:是|为)|选择?", re.IGNORECASE)
_CHINESE = re.compile(r"答案(?:是|为)\s*[:：]?\s*([^\n。；]+)")
#: a letter stands at most so far behind the words that name it
_NEAR = 40


def rules_of(config: Config) -> tuple[str, ...]:
    """The name of these rules where a task of the arm has use for them."""
    tasks = suite.tasks_of(config)
    special = any(suite.has_choices(config, task) or suite.language_of(config, task) != "en" for task in tasks)
    return (ID,) if special else ()


def answer_of(document: Mapping[str, Any], completion: str, program_output: str | None = None) -> Extracted:
    """As :func:`answer_to`, with the rules of the document's task."""
    if program_output is None and document.get("choices"):
        return _choice(completion[-MAX_COMPLETION_CHARS:])
    found = answer_to(document["answer"], completion, program_output)
    if program_output is None and document.get("language") == "zh" and found.how in ("number", "none"):
        last = _last(_CHINESE, completion[-MAX_COMPLETION_CHARS:])
        answer = last[1].strip().strip("$").strip() if last else ""
        if 0 < len(answer) <= MAX_ANSWER_CHARS:
            return Extracted(answer, "phrase")
    if document.get("choices") and found.answer is not None:
        letters = _LETTER.findall(found.answer)
        return Extracted(letters[-1], found.how) if letters else found
    return found


def _choice(text: str) -> Extracted:
    boxes = boxed(text)
    in_box = _LETTER.search(boxes[-1]) if boxes else None
    if in_box:
        return Extracted(in_box[1], "boxed")
    named = _last(_NAMED, text)
    letter = _LETTER.search(text[named.end() : named.end() + _NEAR]) if named else None
    if letter:
        return Extracted(letter[1], "phrase")
    alone = text.strip().strip("().").strip()
    return Extracted(alone, "phrase") if re.fullmatch("[A-E]", alone) else Extracted(None, "none")


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)
