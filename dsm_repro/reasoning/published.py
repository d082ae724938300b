"""``python -m dsm_repro.reasoning.published DATASET --out OUT``: problems of a published data set as JSON lines.

``DATASET`` is whatever ``datasets.load_dataset`` takes: a hub id (``openai/gsm8k --name main``), a local folder of
parquet or JSON files. Rows become what ``problems.train_path`` and ``problems.test_path`` take (id, question, answer,
category, level, and one solution: ``cot`` in words or ``program``), under the field names of GSM8K, MATH, MathInstruct,
MetaMathQA, OpenMathInstruct and NuminaMath. A solution that is a program (MathInstruct has both kinds) is run in the
sandbox. A row without an answer, or whose solution ends in another one, is left out; how many, and why, is printed.

A data set on the hub can change and the file that is written cannot: its content is part of the key of every stage
that reads it, and ``--revision`` pins where it came from.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError, DsmError
from dsm_repro.config.evaluation_schema import GraderConfig, SandboxConfig
from dsm_repro.miniature.problems import problem_id
from dsm_repro.reasoning.extraction import extract
from dsm_repro.reasoning.formats import program_of
from dsm_repro.reasoning.problemset import first_of, solution_and_answer, write_lines

if TYPE_CHECKING:
    from dsm_repro.reasoning.sandbox import Execution

#: where a field may stand, the first one there is taken
QUESTION = ("question", "problem", "query", "instruction")
SOLUTION = ("solution", "generated_solution", "response", "output")
ANSWER = ("expected_answer", "answer")
CATEGORY = ("subject", "type", "category", "source")
#: an answer that its author marked as such; the last number of a text is a guess
MARKED = ("final", "boxed", "phrase")
REASONS = {
    "no question": "none of the fields " + ", ".join(QUESTION),
    "no answer": "the solution marks none, and no field gives one",
    "program fails": "run in the sandbox, the program raises an error or prints nothing",
    "another answer": "the solution ends in another answer than the row gives",
}


@dataclass(frozen=True)
class Row:
    """A problem with one solution at most."""

    question: str
    #: the row's own, else what the solution ends in
    answer: str
    solution: str
    is_program: bool
    #: what the solution marks as its answer, or prints
    ending: str
    category: str
    level: int
    #: of REASONS; empty for a problem that can be used
    reason: str = ""


def row_of(values: dict[str, Any]) -> Row:
    """One row of a data set, before its program has run and its answer was graded."""
    question, solution, answer = (first_of(values, fields).strip() for fields in (QUESTION, SOLUTION, ANSWER))
    if not solution:
        solution, answer = solution_and_answer(answer)
    category, level = first_of(values, CATEGORY).strip(), _level(values)
    reason = "" if question else "no question"
    program = _program(solution)
    if program is not None:
        return Row(question, answer, program, True, "", category, level, reason)
    found = extract(solution)
    ending = str(found.answer) if found.how in MARKED else ""
    if solution and (answer or ending) and found.how != "boxed":
        solution = f"{solution}\nThe answer is $\\boxed{{{ending or answer}}}$."
    row = Row(question, answer or ending, solution, False, ending, category, level, reason)
    return row if row.answer or row.reason else replace(row, reason="no answer")


def _level(values: dict[str, Any]) -> int:
    digits = re.search(r"\d+", str(values.get("level") or ""))
    return int(digits.group()) if digits else 0


def _program(solution: str) -> str | None:
    """The program that a solution is, fenced or bare; None for one in words.

    Words with a program in their midst are words: what they say between is part of the solution. A text that happens
    to be Python and prints nothing is not a program.
    """
    fenced = solution.startswith("```")
    body = program_of(solution, "release") if fenced else solution
    try:
        with warnings.catch_warnings():
            # of words that look like Python: "2and 3"
            warnings.simplefilter("ignore", SyntaxWarning)
            calls = [node for node in ast.walk(ast.parse(body or "")) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return None
    prints = any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
    return body if prints else None


def judged(rows: Iterable[Row], sandbox: SandboxConfig, grader: GraderConfig) -> list[Row]:
    """Programs run, and each solution's ending compared with the row's own answer by the grader of rewards.

    Raises:
        ConfigError: there are programs, and no sandbox can be had here.
    """
    from dsm_repro.reasoning.grading import Grader

    ran = _run(list(rows), sandbox)
    with Grader(grader) as judge:
        verdicts = judge.grade_many((row.ending or row.answer, row.answer) for row in ran)
    return [
        row if row.reason or verdict.correct else replace(row, reason="another answer")
        for row, verdict in zip(ran, verdicts, strict=True)
    ]


def _run(rows: list[Row], config: SandboxConfig) -> list[Row]:
    programs = [row.solution for row in rows if row.is_program]
    if not programs:
        return rows
    from dsm_repro.reasoning.programs import run_distinct
    from dsm_repro.reasoning.sandbox import Sandbox

    with Sandbox(config) as sandbox:
        runs = run_distinct(programs, sandbox)
    return [_with_output(row, runs[row.solution]) if row.is_program else row for row in rows]


def _with_output(row: Row, run: Execution) -> Row:
    printed = extract("", run.stdout).answer if run.status == "ok" else None
    if row.reason or not printed:
        return replace(row, reason=row.reason or "program fails")
    return replace(row, ending=printed, answer=row.answer or printed)


def line_of(row: Row) -> dict[str, Any]:
    """What a file of problems holds; the kind of the solution is part of the id, since a question may have several."""
    kind = "program" if row.is_program else "cot"
    return {
        "id": f"{problem_id(row.question)}-{kind}",
        "question": row.question,
        "answer": row.answer,
        **({"category": row.category} if row.category else {}),
        **({"level": row.level} if row.level else {}),
        **({kind: row.solution} if row.solution else {}),
    }


def rows_from(name: str, part: str | None, split: str, revision: str | None, count: int | None) -> list[Row]:
    """The first ``count`` rows of a split.

    Raises:
        ConfigError: no such data set, part, split or revision, or the hub cannot be reached.
    """
    import datasets

    try:
        data = datasets.load_dataset(name, part, split=split, revision=revision, streaming=True)
        return [row_of(values) for values in (data if count is None else data.take(count))]
    except (OSError, ValueError, KeyError, RuntimeError, datasets.exceptions.DatasetNotFoundError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{name} (--name {part}, --split {split}, --revision {revision}): cannot be read ({reason}). Give a local "
            "folder of parquet or JSON lines, or check the id, the network, and for a gated data set HF_TOKEN."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dsm_repro.reasoning.published", description=__doc__.split("\n")[0])
    parser.add_argument("dataset", help="a hub id (TIGER-Lab/MathInstruct), or a local folder")
    parser.add_argument("--name", help="which of its configurations, where it has several")
    parser.add_argument("--split", default="train")
    parser.add_argument("--revision", help="commit of the data set on the hub")
    parser.add_argument("--count", type=int, help="its first rows only")
    parser.add_argument("--out", type=Path, required=True, help="the JSON lines to write")
    options = parser.parse_args(arguments)
    try:
        rows = rows_from(options.dataset, options.name, options.split, options.revision, options.count)
        rows = judged(rows, SandboxConfig(), GraderConfig())
        kept = [row for row in rows if not row.reason]
        if not kept:
            raise DataError(f"{options.dataset}: not one of {len(rows):,} rows is a problem. {summary(rows)}")
        write_lines(map(line_of, kept), options.out)
    except DsmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.dataset}: {summary(rows)}\nwritten: {options.out}")
    return 0


def summary(rows: Sequence[Row]) -> str:
    """How many rows are kept, of which kind, and what the others lack."""
    kept = [row for row in rows if not row.reason]
    programs = sum(row.is_program for row in kept)
    lines = [f"{len(kept):,} of {len(rows):,} rows kept, {programs:,} with a program"]
    left_out = Counter(row.reason for row in rows if row.reason)
    lines += [f"  {count:>5}  {reason}: {REASONS[reason]}" for reason, count in left_out.most_common()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
