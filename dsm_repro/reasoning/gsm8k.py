"""``python -m dsm_repro.reasoning.gsm8k FILE --out OUT``: GSM8K's own file with a program for each problem.

Its lines are what ``problems.train_path`` takes (id, question, answer, cot, program), so that ``sft.format`` may be
``pot``, ``both`` or ``tool`` on real problems. A problem whose solution has no program
(:mod:`dsm_repro.reasoning.gsm8k_programs`) is left out, for every format: arms that differ in the format see the same
problems. How many, and why, is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dsm_repro.config.errors import DataError, DsmError
from dsm_repro.config.schema import ProblemsConfig
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning.gsm8k_programs import REASONS, convert
from dsm_repro.reasoning.problemset import load_problems

#: what a line of the file holds
FIELDS = ("id", "question", "answer", "cot", "program")


def with_programs(path: Path) -> tuple[list[Problem], Counter[str]]:
    """The problems that have a program, in the file's order, and how many have none for each reason.

    Raises:
        DataError: a file that cannot be read, or a line without a question or an answer.
    """
    problems = load_problems(ProblemsConfig(source="jsonl", train_path=str(path)), "train", None, 0)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found, without = [], Counter[str]()
    for problem, line in zip(problems, lines, strict=True):
        converted = convert(problem.question, str(json.loads(line)["answer"]))
        if converted.program:
            found.append(replace(problem, program=converted.program))
        else:
            without[converted.reason] += 1
    return found, without


def write(problems: Sequence[Problem], path: Path) -> None:
    """One JSON object a line, the whole file or nothing."""
    rows = ({field: getattr(problem, field) for field in FIELDS} for problem in problems)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DataError(f"--out={path}: cannot be written ({error.strerror}). Give another file.") from error


def summary(with_program: int, without: Counter[str]) -> str:
    """The share of problems with a program, and what the others lack."""
    total = with_program + without.total()
    lines = [f"{with_program:,} of {total:,} problems have a program ({with_program / max(1, total):.2%})"]
    lines += [f"  {count:>5}  {reason}: {REASONS[reason]}" for reason, count in without.most_common()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dsm_repro.reasoning.gsm8k", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="GSM8K's train.jsonl or test.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="the JSON lines to write")
    options = parser.parse_args(arguments)
    try:
        problems, without = with_programs(options.file)
        write(problems, options.out)
    except DsmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{summary(len(problems), without)}\nwritten: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
