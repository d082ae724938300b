"""``python -m dsm_repro.reasoning.solutions FILE... --out OUT``: real problems, each in words and as a program.

Reads GSM8K's own files, whose annotated solutions become programs (:mod:`dsm_repro.reasoning.gsm8k_programs`), and
those of ReFT's data for SVAMP, which have both (:mod:`dsm_repro.reasoning.reft_programs`). Writes what
``problems.train_path`` takes (id, question, answer, cot, program), so that ``sft.format`` may be ``cot``, ``pot``,
``both`` or ``tool`` on real problems. Every program is run in the sandbox; a problem without a right one is left out
for every format, so that arms that differ in the format see the same problems. How many, and why, is printed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dsm_repro.config.errors import DsmError
from dsm_repro.config.evaluation_schema import SandboxConfig
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning import gsm8k_programs, reft_programs
from dsm_repro.reasoning.problemset import problem_of, problem_rows, write_lines

#: what a line of the file holds
FIELDS = ("id", "question", "answer", "cot", "program")
WRONG = "wrong program"
#: why a problem is left out
REASONS = {
    **gsm8k_programs.REASONS,
    **reft_programs.REASONS,
    WRONG: "run in the sandbox, the program does not print the answer",
}


def with_programs(path: Path) -> tuple[list[Problem], Counter[str]]:
    """The problems of a file that have a program, in the file's order, and how many have none for each reason.

    Raises:
        DataError: a file that cannot be read, or a line without a question or an answer.
    """
    found, without = [], Counter[str]()
    for row in problem_rows(path, "FILE"):
        problem = problem_of(row)
        if reft_programs.is_reft(row):
            solved = reft_programs.solve(row)
            reason = solved.reason
            problem = replace(
                problem, answer=solved.answer, cot=solved.cot, cot_terse=solved.cot, program=solved.program
            )
        else:
            converted = gsm8k_programs.convert(problem.question, str(row["answer"]))
            reason, problem = converted.reason, replace(problem, program=converted.program)
        if reason:
            without[reason] += 1
        else:
            found.append(problem)
    return found, without


def that_print_the_answer(problems: Sequence[Problem], config: SandboxConfig) -> list[Problem]:
    """Those whose program, run in the sandbox, prints the answer.

    Raises:
        ConfigError: no sandbox can be had here.
    """
    from dsm_repro.reasoning.sandbox import Sandbox

    with Sandbox(config) as sandbox:
        runs = sandbox.run_many([problem.program for problem in problems])
    return [
        problem
        for problem, run in zip(problems, runs, strict=True)
        if run.status == "ok" and reft_programs.same_number(run.stdout.strip(), problem.answer)
    ]


def write(problems: Sequence[Problem], path: Path) -> None:
    """One JSON object a line, the whole file or nothing."""
    write_lines(({field: getattr(problem, field) for field in FIELDS} for problem in problems), path)


def summary(with_program: int, without: Counter[str]) -> str:
    """The share of problems with a program, and what the others lack."""
    total = with_program + without.total()
    lines = [f"{with_program:,} of {total:,} problems have a program ({with_program / max(1, total):.2%})"]
    lines += [f"  {count:>5}  {reason}: {REASONS[reason]}" for reason, count in without.most_common()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dsm_repro.reasoning.solutions", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, nargs="+", help="GSM8K's train.jsonl or test.jsonl, ReFT's SVAMP file")
    parser.add_argument("--out", type=Path, required=True, help="the JSON lines to write")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="mix the files; without it they follow one another")
    options = parser.parse_args(arguments)
    everything: list[Problem] = []
    try:
        for path in options.file:
            problems, without = with_programs(path)
            right = that_print_the_answer(problems, SandboxConfig())
            if len(right) < len(problems):
                without[WRONG] += len(problems) - len(right)
            everything += right
            print(f"{path}: {summary(len(right), without)}")
        if options.shuffle is not None:
            random.Random(f"solutions/{options.shuffle}").shuffle(everything)
        write(everything, options.out)
    except DsmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
