"""How answers ended: right, wrong, silent, cut off; with a program or without."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dsm_repro.reporting.measures import Measured


@dataclass(frozen=True)
class Outcomes:
    """How the answers of one arm in one column ended, as shares of all (replicate, question) cells."""

    cells: int
    status: dict[str, float]
    truncated: float
    #: programs found per answer, and how many of them printed something; None where no answer holds one
    programs: float | None
    printed: float | None
    mean_tokens: float
    #: answers that end behind the model's context
    beyond_context: int
    #: the most frequent reasons of ungradable answers
    reasons: tuple[tuple[str, int], ...]


def outcomes(m: Measured) -> Outcomes:
    samples = [row[q] for row in m.samples for q in m.questions]
    n = len(samples)
    statuses = Counter(str(s.get("status")) for s in samples)
    programs = [s for s in samples if s.get("program")]
    reasons = Counter(str(s.get("reason") or "no reason given") for s in samples if s.get("status") == "ungradable")
    return Outcomes(
        cells=n,
        status={name: statuses[name] / n for name in ("correct", "incorrect", "no_answer", "ungradable")},
        truncated=sum(bool(s.get("truncated")) for s in samples) / n,
        programs=len(programs) / n if programs else None,
        printed=sum(bool(s.get("output")) for s in programs) / len(programs) if programs else None,
        mean_tokens=sum(float(s.get("tokens") or 0) for s in samples) / n,
        beyond_context=sum(bool(s.get("beyond_context")) for s in samples),
        reasons=tuple(reasons.most_common(3)),
    )
