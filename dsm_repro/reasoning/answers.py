"""The answer of a completion to a question: found alike for a reward, in an evaluation and by ``dsm grade``.

Where it is looked for is in ``extraction.py``; how much of it is wanted, the gold answer says: to ``1, 2`` two boxes of
one member each are one answer, as in the release; to ``2`` the last box is.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning import extraction
from dsm_repro.reasoning.extraction import Extracted
from dsm_repro.reasoning.grading import registry
from dsm_repro.reasoning.grading.compare import members


def answer_to(gold: str, completion: str, program_output: str | None = None) -> Extracted:
    """The answer in ``completion`` to a question with the answer ``gold``.

    In ``program_output`` alone where that is given, even if empty.
    """
    found = extraction.extract(completion, program_output)
    wanted = members(gold)
    if found.how != "boxed" or program_output is not None or wanted == 1 or members(found.answer or "") > 1:
        # a box that holds several members is the answer by itself; those before it were steps
        return found
    joint = r" \cup " if r"\cup" in gold else ", "
    return Extracted(joint.join(extraction.last_boxes(completion, wanted)), "boxed")


def identity(config: GraderConfig) -> dict[str, Any]:
    """All that decides how an answer is found and graded, for the identity of a stage that grades.

    With the versions of our rules: verdicts by other rules are another result. Those of libraries are in the record
    (``Grader.id``) alone, so that an artifact may travel to where another is installed.
    """
    return {**asdict(config), "rules": registry.RULES_VERSION, "extraction": extraction.VERSION}
