"""From a completion to a verdict: execute its program where the mode wants one, extract the answer, grade it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from dsm_repro.reasoning.extraction import extract
from dsm_repro.reasoning.formats import program_of
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.sandbox import Sandbox

SCORER: ContextVar[Scorer] = ContextVar("scorer")


@dataclass
class Scorer:
    """Grades one completion at a time and remembers what it saw, for ``samples.jsonl``.

    The same grader as the reward. ``sandbox`` is None where no mode executes programs.
    """

    grader: Grader
    sandbox: Sandbox | None
    template: str
    scored: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def score(self, document: dict[str, Any], completion: str) -> dict[str, Any]:
        """The fields of a sample that follow from its completion."""
        mode = document["mode"]
        program, output, execution = None, None, None
        if mode == "pot":
            program = program_of(completion, self.template)
            output = ""
            if program is not None and self.sandbox is not None:
                run = self.sandbox.run(program)
                output, execution = run.stdout, run.status
        found = extract(completion, program_output=output)
        verdict = self.grader.grade(found.answer, document["answer"])
        sample = {
            "program": program,
            "output": output,
            "execution": execution,
            "extracted": found.answer,
            "how": found.how,
            "status": verdict.status,
            "reason": verdict.reason,
            "correct": verdict.status == "correct",
        }
        self.scored[(mode, document["id"])] = sample
        return sample


def process_results(document: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's hook: the metrics of one document."""
    sample = SCORER.get().score(document, results[0])
    return {
        "accuracy": float(sample["correct"]),
        "no_answer": float(sample["status"] == "no_answer"),
        "ungradable": float(sample["status"] == "ungradable"),
    }
