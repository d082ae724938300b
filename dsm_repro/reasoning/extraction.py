"""The answer in a completion, in the order of the DeepSeek-Math release (``answer_extraction.py``).

1. ``final answer is $…$. I hope`` (Minerva's few-shot ending)
2. the last ``\\boxed{…}`` with balanced braces
3. ``the answer is …``
4. the last ```` ```output ```` block
5. the last number

Nothing found is *no answer*, not a wrong number. A completion that was executed (program of thought)
is judged by what the program printed, never by the text of the program: a comment or a string in it may
say "the answer is". Pure Python, one pass per rule, time linear in the length.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from dsm_repro.reasoning.clauses import ends_sentence, unlabelled, value_in

#: names these rules and those of ``answers.py`` in a protocol; raised when one changes which answer is found
VERSION = 3

#: only the end of a longer completion is searched: answers come last
MAX_COMPLETION_CHARS = 200_000
#: a longer find is not an answer and is passed over
MAX_ANSWER_CHARS = 10_000

_FINAL_START = "final answer is $"
_FINAL_END = "$. I hope"
_BRACES = re.compile(r"\\(?:boxed|fbox)[ \t]*\{|\\(?:boxed|fbox)[ \t]+(?=[^\s{\\])|\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(r"the answer is", re.IGNORECASE)
#: what follows the phrase on lines of its own, or starts its line
_DISPLAY = re.compile(r"\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\]|\n\s*\$([^$\n]+)\$)", re.DOTALL)
_ANOTHER = re.compile(r"\$\s*(?:[,;]|,?\s*(?:or|and)\s)\s*\$")
_OUTPUT = "```output"
_NUMBER = re.compile(r"(?:(?<![\w)])[-\u2212])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True)
class Extracted:
    """``answer`` is None exactly where ``how`` is ``none``."""

    answer: str | None
    #: final | boxed | phrase | output | number | none
    how: str


NOTHING = Extracted(None, "none")


def extract(completion: str, program_output: str | None = None) -> Extracted:
    """The answer in ``completion``; in ``program_output`` alone where that is given (even if empty)."""
    if program_output is not None:
        return _found(_last_line(program_output[-MAX_COMPLETION_CHARS:]), "output")
    text = completion[-MAX_COMPLETION_CHARS:]
    for how, rule in _RULES:
        extracted = _found(rule(text), how)
        if extracted.answer is not None:
            return extracted
    return NOTHING


def _found(answer: str | None, how: str) -> Extracted:
    answer = answer.strip() if answer is not None else ""
    return Extracted(answer, how) if 0 < len(answer) <= MAX_ANSWER_CHARS else NOTHING


def _final(text: str) -> str | None:
    start = text.rfind(_FINAL_START)
    end = text.find(_FINAL_END, start + len(_FINAL_START)) if start >= 0 else -1
    return text[start + len(_FINAL_START) : end] if end >= 0 else None


def boxed(text: str) -> list[str]:
    """What stands in each balanced ``\\boxed{…}``, in the order in which they open; blank ones are left out.

    One pass with a stack, so that ten thousand nested boxes cost no more than ten thousand characters.
    """
    found: list[tuple[int, str]] = []
    #: position after the brace, and whether it opens a box
    open_braces: list[tuple[int, bool]] = []
    innermost_end = -1
    for match in _BRACES.finditer(text):
        token = match.group()
        if token == "}":
            if not open_braces:
                continue
            start, is_box = open_braces.pop()
            # A box around a box is passed over: the inner one is the answer, and copying every level is quadratic.
            if is_box and start > innermost_end and match.start() - start <= MAX_ANSWER_CHARS:
                found.append((start, text[start : match.start()].strip()))
                innermost_end = match.start()
        elif token.endswith("{") and token != "\\{":
            open_braces.append((match.end(), len(token) > 1))
        elif token[0] == "\\" and token[-1] in " \t" and len(token) > 2:
            # TeX allows `\boxed 5`: one token without braces.
            word = re.compile(r"[^\s$.,;]+").match(text, match.end())
            if word and len(word.group()) <= MAX_ANSWER_CHARS:
                found.append((match.end(), word.group()))
    return [content for _, content in sorted(found) if content]


def last_boxes(completion: str, n: int) -> list[str]:
    """What stands in the last ``n`` boxes, in their order; two of the same content count once."""
    return list(dict.fromkeys(boxed(completion[-MAX_COMPLETION_CHARS:])))[-n:]


def _last_boxed(text: str) -> str | None:
    boxes = boxed(text)
    return boxes[-1] if boxes else None


def _phrase(text: str) -> str | None:
    last = _last_match(_PHRASE, text)
    if last is None:
        return None
    rest = text[last.end() :].lstrip(" \t:*")
    if display := _DISPLAY.match(rest):
        return next(content for content in display.groups() if content is not None)
    line = rest.split("\n", 1)[0].strip()
    stop = next((at.start() for at in re.finditer(r"\.", line) if ends_sentence(line, at.start())), len(line))
    if line.startswith("$") and (end := line.find("$", 1)) > 1:
        # "$5$ or $6$" are two answers
        return line[:stop].replace("$", "") if _ANOTHER.match(line, end) else line[1:end]
    return value_in(line[:stop].strip(" $*"))


def _last_output_block(text: str) -> str | None:
    start = text.rfind(_OUTPUT)
    if start < 0:
        return None
    return _last_line(text[start + len(_OUTPUT) :].split("```", 1)[0])


def _last_line(output: str) -> str | None:
    lines = output.rstrip().rsplit("\n", 1)
    line = lines[-1].strip()
    return _phrase(line) or _last_boxed(line) or value_in(unlabelled(line).removesuffix("."))


def _last_number(text: str) -> str | None:
    last = _last_match(_NUMBER, text)
    return last.group() if last else None


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


_RULES = (
    ("final", _final),
    ("boxed", _last_boxed),
    ("phrase", _phrase),
    ("output", _last_output_block),
    ("number", _last_number),
)
