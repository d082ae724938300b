"""Problems for fine-tuning, reinforcement learning, decontamination and evaluation, by config: one reader for all.

``problems.source`` is ``miniature`` (made on the spot) or ``jsonl``: one JSON object a line with ``question``
and ``answer``, and where known ``id``, ``category``, ``level``, ``cot`` and ``program``. GSM8K's own
files are read as they are: the solution stands in ``answer``, its result after ``####``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.training_schema import ProblemsConfig
from dsm_repro.miniature.problems import Problem, canonical, problem_id, problems

#: GSM8K's calculator annotations, ``<<48/2=24>>``
_ANNOTATION = re.compile(r"<<[^<>]*>>")
_RESULT = "####"


def load_problems(config: ProblemsConfig, split: str, count: int | None, seed: int) -> list[Problem]:
    """``count`` problems of a split (``train`` | ``rl`` | ``test``), all of a file's where ``count`` is None.

    ``seed`` draws the miniature's problems; a file is read in its own order. Solutions that a file does
    not have are empty strings.

    Raises:
        ConfigError: an unknown source, or the miniature without a count.
        DataError: a file that cannot be read, or a line without a question or an answer.

    The ids are those of the file: two problems may have one (:func:`distinct`, :func:`each_once`).
    """
    if config.source == "miniature":
        if count is None:
            raise ConfigError("evaluation.problems=null: the miniature has no whole test set. Give a number.")
        return problems("test" if split == "test" else "train", count, seed)
    if config.source == "jsonl":
        key, path = problem_path(config, split)
        rows = list(_read(path, key, count))
        if not rows:
            raise DataError(f"{key}={path}: the file is empty.")
        return rows
    raise ConfigError(f"problems.source={config.source}: use miniature or jsonl.")


def problem_files(config: ProblemsConfig, *splits: str) -> tuple[Path, ...]:
    """The files that a stage reads, for its key; none for the miniature."""
    if config.source != "jsonl":
        return ()
    return tuple(problem_path(config, split)[1] for split in splits)


def problem_path(config: ProblemsConfig, split: str) -> tuple[str, Path]:
    """The key that names a split's file, and the file; without one of its own, RL has the training set's."""
    if split == "rl" and not config.rl_path:
        split = "train"
    paths = {"train": config.train_path, "rl": config.rl_path, "test": config.test_path}
    return f"problems.{split}_path", Path(paths[split]).expanduser()


def _read(path: Path, key: str, count: int | None) -> Iterator[Problem]:
    return map(problem_of, problem_rows(path, key, count))


def problem_rows(path: Path, key: str, count: int | None = None) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file's first ``count`` lines, each checked to be a problem; ``key`` names the file.

    Raises:
        DataError: a file that cannot be read, or a line without a question or an answer.
    """
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if count is not None and number > count:
                    return
                text = decoded(line, f"{key}={path}, line {number}")
                if text.strip():
                    row = json.loads(text)
                    problem_of(row)
                    yield row
    except OSError as error:
        raise DataError(f"{key}={path}: cannot be read ({error.strerror}). Give an existing file.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}, line {number}: needs a JSON object with question and answer ({error!r}). Correct the line."
        ) from error


def decoded(line: bytes, where: str) -> str:
    """The text of a line. Raises DataError for bytes that are not UTF-8; ``where`` names the file and the line."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: not UTF-8 (byte 0x{line[error.start]:02x} at {error.start}). Save the file as UTF-8."
        ) from error


def text_of(row: dict[str, Any], field: str) -> str:
    """A field that must say something. Raises KeyError without it, ValueError for what is no text and no number."""
    value = row[field]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{field}={value!r}: not a text or a number")
    if not str(value).strip():
        raise ValueError(f"an empty question or answer: {field}={value!r}")
    return str(value)


def problem_of(row: dict[str, Any]) -> Problem:
    """One line of a file; raises KeyError, TypeError or ValueError for one without question and answer."""
    question, answer = text_of(row, "question"), text_of(row, "answer")
    cot = str(row.get("cot") or "")
    solution, answer = solution_and_answer(answer)
    if not answer.strip():
        raise ValueError(f"an empty question or answer: nothing behind {_RESULT}")
    cot = cot or solution
    return Problem(
        id=str(row.get("id") or problem_id(question)),
        category=str(row.get("category") or "all"),
        level=int(row.get("level") or 0),
        question=question,
        answer=answer,
        cot=cot,
        cot_terse=cot,
        program=str(row.get("program") or ""),
    )


def solution_and_answer(text: str) -> tuple[str, str]:
    """GSM8K's field ``answer``: the solution in words, boxed at its end, and the result. Any other text is a result."""
    if _RESULT not in text:
        return "", text
    solution, answer = (part.strip() for part in text.rsplit(_RESULT, 1))
    return f"{_ANNOTATION.sub('', solution)}\nThe answer is $\\boxed{{{answer}}}$.", answer


def distinct(problems: Sequence[Problem]) -> list[Problem]:
    """The same problems; one whose id an earlier one has gets ``/2``, ``/3`` behind it.

    For whoever files what a problem got under its id: under one id, one problem would get the other's verdict.
    """
    used: set[str] = set()
    again = Counter[str]()
    made = []
    for problem in problems:
        name = problem.id
        while name in used:
            again[problem.id] += 1
            name = f"{problem.id}/{again[problem.id] + 1}"
        used.add(name)
        made.append(problem if name == problem.id else replace(problem, id=name))
    return made


def each_once(problems: Sequence[Problem]) -> list[Problem]:
    """Each question once, its last line's solution; two questions of one id are told apart, as by :func:`distinct`."""
    return distinct(list({(problem.id, canonical(problem.question)): problem for problem in problems}.values()))


def first_of(row: dict[str, Any], fields: Sequence[str]) -> str:
    """The text of the first of these fields that has one; empty where none has."""
    return next((str(row[field]) for field in fields if str(row.get(field) or "").strip()), "")


def write_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """One JSON object a line, the whole file or nothing; raises DataError where it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"--out={path}: cannot be written ({error.strerror}). Make its folder, or give another file."
        ) from error
