"""Whether an answer is right: cheap exact rules first, math-verify in killable processes for the rest."""

from dsm_repro.reasoning.grading.grader import Grader
from dsm_repro.reasoning.grading.verdict import Verdict

__all__ = ["Grader", "Verdict"]
