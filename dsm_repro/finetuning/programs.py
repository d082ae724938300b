"""What the programs of the training problems print: they are run once, in the sandbox, before training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dsm_repro.config.errors import DataError
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.answers import answer_to
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.programs import run_distinct, tool_says
from dsm_repro.reasoning.sandbox import Sandbox

#: kept in ctx.scratch: a stage that resumes does not run them again
OUTPUTS_FILE = "program_runs.json"


@dataclass(frozen=True)
class ProgramOutputs:
    #: what the tool says of each program that prints the right answer
    said: dict[str, str]
    #: problems that have another program
    failed: int
    #: the sandbox's back-end that ran them
    backend: str


def program_outputs(ctx: StageContext, problems: Sequence[Problem]) -> ProgramOutputs:
    """Run the problems' programs, or take what an earlier attempt at this stage has run.

    An example whose program is wrong would teach to write an answer that is not in the output.

    Raises:
        DataError: a problem without a program, or none that is right.
        ConfigError: programs cannot be isolated on this machine.
    """
    config, kept = ctx.config, ctx.scratch / OUTPUTS_FILE
    for problem in problems:
        if not problem.program.strip():
            raise DataError(
                f"problem {problem.id} ({problem.question[:60]!r}): no 'program', and sft.format=tool runs it. "
                "Add the field to problems.train_path, or choose another sft.format."
            )
    if kept.exists():
        ran_before = json.loads(kept.read_text())
        said, backend = ran_before["said"], ran_before["backend"]
    else:
        with Sandbox(config.sandbox) as sandbox:
            backend = sandbox.backend
            executions = run_distinct((problem.program for problem in problems), sandbox)
        limit = config.tool.output_characters
        said = {
            program: tool_says(execution, config.prompts, limit)
            for program, execution in executions.items()
            if execution.status == "ok"
        }
        temporary = kept.with_suffix(".part")
        temporary.write_text(json.dumps({"said": said, "backend": backend}))
        temporary.replace(kept)
    ran = [problem for problem in problems if problem.program in said]
    answers = [(answer_to(problem.answer, "", said[problem.program]).answer, problem.answer) for problem in ran]
    # most are the same string, and need no grader
    doubtful = list(dict.fromkeys(pair for pair in answers if pair[0] != pair[1]))
    with Grader(config.grader) as grader:
        verdicts = dict(zip(doubtful, grader.grade_many(doubtful), strict=True))
    right = {
        problem.program: said[problem.program]
        for problem, pair in zip(ran, answers, strict=True)
        if pair not in verdicts or verdicts[pair].status == "correct"
    }
    if not right:
        raise DataError("sft.format=tool: no program of the training problems prints the answer. Correct them.")
    return ProgramOutputs(right, sum(problem.program not in right for problem in problems), backend)
