"""From a completion to a verdict: execute its program where the mode wants one, extract the answer, grade it."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from dsm_repro.evaluation.answers import answer_of
from dsm_repro.evaluation.sampled import Answer, Tally, tally
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.sandbox import Sandbox

SCORER: ContextVar[Scorer] = ContextVar("scorer")


@dataclass
class Scorer:
    """Grades completions and remembers what it saw, for ``samples.jsonl`` and ``at_k.jsonl``.

    The same grader as the reward. ``sandbox`` is None where no mode executes programs.
    """

    grader: Grader
    sandbox: Sandbox | None
    template: str
    #: (mode, problem id) -> fields of the sample
    scored: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    #: (mode, problem id) -> votes of the drawn answers
    counted: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def score(self, document: dict[str, Any], completion: str) -> dict[str, Any]:
        """The fields of a sample that follow from its completion."""
        sample = self._judge(document, completion)
        self.scored[(document["mode"], document["id"])] = sample
        return sample

    def count(self, document: dict[str, Any], completions: Sequence[str]) -> Tally:
        """The votes of several completions of one problem; a text that was written twice is judged once."""
        judged = {text: self._judge(document, text) for text in dict.fromkeys(completions)}
        answers = [Answer(judged[text]["extracted"], judged[text]["status"]) for text in completions]
        counted = tally(answers, self.grader.grade)
        self.counted[(document["mode"], document["id"])] = counted
        return counted

    def _judge(self, document: dict[str, Any], completion: str) -> dict[str, Any]:
        program, output, execution = None, None, None
        mode, chosen = document["mode"], {}
        if mode in ("hybrid", "router"):
            mode = formats.chosen(completion, self.template) if mode == "hybrid" else document["routed"]
            chosen = {"chosen": mode, **({"rule": document["rule"]} if document["rule"] else {})}
        if mode == "pot":
            program = formats.program_of(completion, self.template)
            output = ""
            if program is not None and self.sandbox is not None:
                run = self.sandbox.run(program)
                output, execution = run.stdout, run.status
        found = answer_of(document, completion, output)
        verdict = self.grader.grade(found.answer, document["answer"])
        conversed = {}
        if mode == "tool":
            said = formats.tool_outputs(completion)
            output = said[-1] if said else None
            printed = answer_of(document, "", output or "").answer
            conversed = {"program_correct": self.grader.grade(printed, document["answer"]).status == "correct"}
        return {
            "program": program,
            "output": output,
            "execution": execution,
            "extracted": found.answer,
            "how": found.how,
            "status": verdict.status,
            "reason": verdict.reason,
            "correct": verdict.status == "correct",
            **conversed,
            **chosen,
        }


def process_results(document: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """lm-eval's hook: the metrics of one document; of a list of completions (``repeats``) their means."""
    scorer, answered = SCORER.get(), results[0]
    if isinstance(answered, str):
        sample = scorer.score(document, answered)
        return {name: float(sample["status"] == status) for name, status in _METRICS.items()}
    counted = scorer.count(document, answered)
    return {
        "accuracy": counted.right / counted.n,
        "no_answer": counted.silent / counted.n,
        "ungradable": counted.ungradable / counted.n,
    }


_METRICS = {"accuracy": "correct", "no_answer": "no_answer", "ungradable": "ungradable"}
