"""``DSM_DATA=… python benchmarks/gsm8k_programs.py``: how many of GSM8K's solutions are programs that are right.

Each program goes the way of a model's: written in the release's format, read out of it again, run in the sandbox, its
output extracted and graded against the number after ####. Printed for train and test: the share that is right, and
the classes of exceptions.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

from dsm_repro.config.evaluation_schema import GraderConfig, SandboxConfig
from dsm_repro.reasoning.extraction import extract
from dsm_repro.reasoning.formats import pot_target, program_of
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.programs import run_distinct
from dsm_repro.reasoning.sandbox import Sandbox
from dsm_repro.reasoning.solutions import summary, with_programs

TEMPLATE = "release"
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", nargs="+", default=["train", "test"], choices=["train", "test"])
    options = parser.parse_args()
    folder = os.environ.get("DSM_DATA")
    if folder is None:
        sys.exit("DSM_DATA: not set. It names the folder that holds gsm8k/train.jsonl and gsm8k/test.jsonl.")
    with Sandbox(SandboxConfig(), workers=WORKERS) as sandbox, Grader(GraderConfig()) as grader:
        for split in options.splits:
            measure(split, Path(folder) / "gsm8k" / f"{split}.jsonl", sandbox, grader)


def measure(split: str, path: Path, sandbox: Sandbox, grader: Grader) -> None:
    problems, without = with_programs(path)
    written = [program_of(pot_target(problem.program, TEMPLATE), TEMPLATE) or "" for problem in problems]
    started = time.perf_counter()
    executions = run_distinct(written, sandbox)
    seconds = time.perf_counter() - started
    outputs = [extract("", program_output=executions[program].stdout).answer for program in written]
    verdicts = grader.grade_many(list(zip(outputs, [problem.answer for problem in problems], strict=True)))
    right = sum(verdict.status == "correct" for verdict in verdicts)
    total = len(problems) + without.total()
    print(f"{split}: {right:,} of {total:,} are right after format, sandbox and grader ({right / total:.2%})")
    print(summary(len(problems), without))
    print(f"  programs: {dict(Counter(execution.status for execution in executions.values()))}")
    print(f"  verdicts: {dict(Counter(verdict.status for verdict in verdicts))}")
    print(f"  {len(executions):,} programs in {seconds:.1f} s with {WORKERS} workers, back-end {sandbox.backend}")
    for problem, output, verdict in zip(problems, outputs, verdicts, strict=True):
        if verdict.status != "correct":
            print(f"  {problem.id}: printed {output}, answer {problem.answer} ({verdict.status})")


if __name__ == "__main__":
    main()
