"""One row of a public benchmark as a problem: each function reads the fields of the release's file and of the hub's.

Questions with choices get the release's wording. A gold answer of several parts is their list, with commas. A row that
a function cannot read raises KeyError, IndexError, TypeError or ValueError; who reads the file says where that was.
"""

from __future__ import annotations

import re
from typing import Any

from dsm_repro.miniature.problems import Problem, problem_id
from dsm_repro.reasoning.extraction import boxed
from dsm_repro.reasoning.problemset import problem_of, text_of

_CHOICE = re.compile(r"(?<![\w(])([A-E])\)")
_LETTERS = "ABCDE"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_WHICH = "What of the following is the right choice? Explain your answer."


def _made(
    row: dict[str, Any], question: str, answer: str, cot: str = "", category: str = "", level: int = 0
) -> Problem:
    if not question.strip() or not answer.strip():
        raise ValueError("an empty question or answer")
    name = next((str(row[key]) for key in ("id", "unique_id") if row.get(key) not in (None, "")), problem_id(question))
    return Problem(
        name, category or "all", level, question.strip(), answer.strip(), cot, cot, str(row.get("program") or "")
    )


def _first(row: dict[str, Any], *names: str) -> Any:
    """The first of these fields that the row has. Raises KeyError."""
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise KeyError(" or ".join(names))


def word_problem(row: dict[str, Any]) -> Problem:
    """GSM8K, SVAMP and files of our own: ``question`` and ``answer``."""
    made = problem_of(row)
    return _made(row, made.question, _without_separators(made.answer), made.cot, made.category, made.level)


def _without_separators(answer: str) -> str:
    """``1,004`` as 1004; in brackets a comma parts the members of a pair, a set or an interval."""
    return answer if set("()[]{}") & set(answer) else _THOUSANDS.sub("", answer)


def competition(row: dict[str, Any]) -> Problem:
    """MATH and MATH-500: ``problem``, ``solution``, ``type`` or ``subject``, ``level`` as ``Level 5`` or 5."""
    boxes = boxed(str(row["solution"])) if row.get("solution") else []
    answer = str(row["answer"]) if row.get("answer") else boxes[-1]
    digits = re.sub(r"\D", "", str(row.get("level") or ""))
    category = str(row.get("type") or row.get("subject") or "")
    return _made(row, text_of(row, "problem"), answer, str(row.get("solution") or ""), category, int(digits or 0))


def course(row: dict[str, Any]) -> Problem:
    """OCW: ``problem``, ``solution``, ``answer``."""
    solution, category = str(row.get("solution") or ""), str(row.get("type") or "")
    return _made(row, text_of(row, "problem"), text_of(row, "answer"), solution, category)


def sat(row: dict[str, Any]) -> Problem:
    """SAT: the options in one text, ``A) 1 B) 2``."""
    options = _CHOICE.sub(r"(\1)", str(_first(row, "options", "Possible Answers")).strip())
    question = str(_first(row, "question", "Question")).strip()
    return _made(row, f"{question}\n{_WHICH}\n{options}", _letter(str(row["Answer"])))


def stem(row: dict[str, Any]) -> Problem:
    """MMLU: a list of choices; the answer is a letter, or on the hub a position."""
    choices = [str(choice).strip() for choice in _first(row, "options", "choices")]
    listed = ", ".join(f"({letter}) {choice}" for letter, choice in zip(_LETTERS, choices, strict=False))
    question = f"{text_of(row, 'question').strip()}\n{_WHICH}\n{listed}"
    return _made(row, question, _letter(row["answer"]), "", str(row.get("subject") or ""))


def grade_school_zh(row: dict[str, Any]) -> Problem:
    """CMATH: ``question``, ``golden``, ``grade``."""
    grade = str(row.get("grade") or "")
    answer = text_of(row, "golden").replace(",", "")
    return _made(row, text_of(row, "question"), answer, "", f"grade {grade}" if grade else "", int(grade or 0))


def word_problem_zh(row: dict[str, Any]) -> Problem:
    """MGSM: the question in ``question`` or the release's ``messages``; the answer a number."""
    question = text_of(row["messages"][0], "content") if "messages" in row else text_of(row, "question")
    answer = text_of(row, "answer_number" if row.get("answer_number") is not None else "answer")
    return _made(row, question.removeprefix("问题：").removeprefix("问题:"), answer.replace(",", ""))


def cloze_zh(row: dict[str, Any]) -> Problem:
    """Gaokao cloze: several answers are parted by ``;``."""
    answers = [part.strip() for part in text_of(row, "answer").split(";")]
    question = str(row["question"]) if row.get("question") else _asked(text_of(row, "query"))
    return _made(row, question, ", ".join(answers))


def choice_zh(row: dict[str, Any]) -> Problem:
    """Gaokao QA: options that start with ``(A)``; the answer in ``label``, or on the hub a position in ``gold``."""
    options = [str(option).strip() for option in _first(row, "options", "choices")]
    question = str(row["question"]) if row.get("question") else _asked(text_of(row, "query"))
    answer = row["label"] if row.get("label") else row["gold"][0]
    return _made(row, f"{question.strip()}\n从以下选项中选择:    {' '.join(options)}", _letter(answer))


def _asked(query: str) -> str:
    """The question alone in a prompt of the hub's copy of AGIEval."""
    return re.split(r"\s*(?:选项：|答案：)", query, maxsplit=1)[0].removeprefix("问题：").strip()


def _letter(answer: Any) -> str:
    if isinstance(answer, int):
        return _LETTERS[answer]
    letter = str(answer).strip().strip("()")
    if letter not in tuple(_LETTERS):
        raise ValueError(f"answer {answer!r} is none of {', '.join(_LETTERS)}")
    return letter
