"""The answer of a completion where the shared order of extraction does not know the task: choices, and Chinese.

A choice is a letter in a box; else the last one that a sentence calls the answer ("answer is", "Answer:", "答案是");
else the last one that a conclusion ends in ("hence C", "选 C", "所以C正确"). Words about other options ("选项D错误")
name none. In Chinese an answer stands behind "答案是" or "答案：" where it is not boxed; the shared rules would take
the last number instead, which a formula may end in.
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
ID = "choices and Chinese/2"
_LETTER = re.compile(r"(?<![A-Za-z])\(?([A-E])\)?(?![A-Za-z])")
#: a sentence calls what follows the answer
_NAMED = re.compile(
    r"(?:(?:answer|choice|option)\**\s{1,9}(?:is|must be|should be)|answer\**\s{0,9}[:：]"
    r"|答案\**\s{0,9}(?:应?[是为选]|[:：])|选项\s{0,9}[是为])\s*[:：]?\s*",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。！？；\n]|[.!?;](?=\s|$)")
#: a letter that is said not to be the answer
_DENIED = re.compile(r"(?:\bnot|不是|不选)\s*\(?[A-E]\b\)?", re.IGNORECASE)
_CONCLUDED = re.compile(
    r"(?:\b(?:hence|therefore|thus|so|choose)\b[,:]?(?:\s{1,9}(?:the|option|choice|answer)){0,3}"
    r"|(?<![不可])选(?!项)择?(?:的?是)?|所以|因此|故)"
    r"\s{0,9}[,:，：]?\s{0,9}(?:选项|选|答案)?\s{0,9}[*$(（]{0,4}(?-i:([A-E]))[*$)）]{0,4}\s{0,9}(?:选?项)?\s{0,9}"
    # and no formula that begins with a point or a set of that name
    r"(?:是?正确|成立|符合|是?对的?|is (?:the )?(?:correct|right|answer)|[。．，；！.,;!](?!\d)|\n|$)",
    re.IGNORECASE,
)
_CHINESE = re.compile(r"答案\s*(?:[是为]|[:：])\s*[:：]?\s*([^\n。；]+)")
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
    named = [letter for found in _NAMED.finditer(text) if (letter := _letter_behind(text, found.end()))]
    if named:
        return Extracted(named[-1], "phrase")
    concluded = _last(_CONCLUDED, text)
    if concluded:
        return Extracted(concluded[1], "phrase")
    alone = text.strip().strip("().").strip()
    return Extracted(alone, "phrase") if re.fullmatch("[A-E]", alone) else Extracted(None, "none")


def _letter_behind(text: str, start: int) -> str | None:
    """The first letter in the rest of the sentence; None where it is denied or there is none."""
    near = _SENTENCE_END.split(text[start : start + _NEAR], maxsplit=1)[0]
    found = _LETTER.search(_DENIED.sub("", near))
    return found[1] if found else None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)
