"""What a grader says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """``reason`` says which rule decided, or what stood in the way."""

    #: correct | incorrect | no_answer | ungradable
    status: str
    reason: str = ""

    @property
    def correct(self) -> bool:
        return self.status == "correct"


def correct(reason: str) -> Verdict:
    return Verdict("correct", reason)


def incorrect(reason: str) -> Verdict:
    return Verdict("incorrect", reason)


def ungradable(reason: str) -> Verdict:
    return Verdict("ungradable", reason)


NO_ANSWER = Verdict("no_answer", "blank")
