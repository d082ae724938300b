"""What the rewards of an rl run were made of: shares over its first and last steps that sampled anything.

A column that a record does not have is None, never 0: older records, a method without a KL term, a run without tools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dsm_repro.reporting.accounts import stage_artifacts
from dsm_repro.reporting.records import Sweep
from dsm_repro.reporting.values import number

#: steps in a window; fewer where a run is too short for two windows that do not overlap
WINDOW = 10
#: counts of completions
_OF_COMPLETIONS = ("right", "wrong", "no_answer", "ungradable", "truncated")
Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Window:
    """Means over a stretch of steps; shares are between 0 and 1."""

    first_step: int
    last_step: int
    #: of completions: right, wrong, no_answer, ungradable, truncated
    shares: Mapping[str, float | None]
    #: programs run for each completion, and those that raised an error; a call without a program is an error too
    programs: float | None
    program_errors: float | None
    #: of the programs that were run: those that the sandbox ended
    sandbox_failure: float | None
    #: of groups: those whose rewards are all equal, and those that dynamic sampling kept
    zero_variance: float | None
    kept: float | None
    kl: float | None


@dataclass(frozen=True)
class Diagnostics:
    """One arm; where it has several seeds, every number is the mean over those that have it."""

    arm: str
    seeds: int
    #: above it, ungradable answers raise the alarm
    limit: float | None
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Alarm:
    """A run in which, at some step, more answers were ungradable than ``reward.max_ungradable``."""

    arm: str
    seed: int
    what: str
    limit: float | None
    worst_share: float | None
    worst_step: float | None
    #: how many steps were above the limit
    steps: float | None


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return fmean(found) if found else None


def _share(lines: Lines, part: str, whole: str) -> float | None:
    """Sum of ``part`` over sum of ``whole``, over the lines that have both."""
    pairs = [(number(line.get(part)), number(line.get(whole))) for line in lines]
    both = [(p, w) for p, w in pairs if p is not None and w is not None]
    total = sum(w for _, w in both)
    return sum(p for p, _ in both) / total if total else None


def window(lines: Lines) -> Window:
    """The means of some lines of metrics, at least one."""
    return Window(
        first_step=int(lines[0]["step"]),
        last_step=int(lines[-1]["step"]),
        shares={name: _share(lines, name, "completions") for name in _OF_COMPLETIONS},
        programs=_share(lines, "programs", "completions"),
        program_errors=_share(lines, "program_errors", "completions"),
        sandbox_failure=_share(lines, "sandbox_failure", "programs"),
        zero_variance=_mean([number(line.get("zero_variance_groups")) for line in lines]),
        kept=_share(lines, "groups_kept", "groups_drawn"),
        kl=_mean([number(line.get("kl")) for line in lines]),
    )


def windows(metrics: Lines) -> tuple[Window, ...]:
    """First and last window of a run; one where it has one step, none where it has none.

    Steps that sampled nothing (epochs over pairs that are there) are passed over.
    """
    sampled = [line for line in metrics if line.get("completions") != 0]
    size = min(WINDOW, len(sampled) // 2)
    if size == 0:
        return (window(sampled),) if sampled else ()
    return window(sampled[:size]), window(sampled[-size:])


def _over_seeds(found: Sequence[Window]) -> Window:
    return Window(
        first_step=min(w.first_step for w in found),
        last_step=max(w.last_step for w in found),
        shares={name: _mean([w.shares[name] for w in found]) for name in _OF_COMPLETIONS},
        programs=_mean([w.programs for w in found]),
        program_errors=_mean([w.program_errors for w in found]),
        sandbox_failure=_mean([w.sandbox_failure for w in found]),
        zero_variance=_mean([w.zero_variance for w in found]),
        kept=_mean([w.kept for w in found]),
        kl=_mean([w.kl for w in found]),
    )


def diagnostics(sweep: Sweep) -> list[Diagnostics]:
    """Every arm with an rl stage that left metrics."""
    runs: dict[str, list[tuple[Window, ...]]] = {}
    limits: dict[str, float | None] = {}
    for run, artifact in stage_artifacts(sweep, "rl"):
        found = windows(artifact.metrics)
        if found:
            runs.setdefault(run.arm, []).append(found)
            limits[run.arm] = number((run.config.get("reward") or {}).get("max_ungradable"))
    return [
        Diagnostics(
            arm,
            len(found),
            limits[arm],
            # the first windows together, and the last ones of runs that have two
            tuple(_over_seeds([w[i] for w in found if i < len(w)]) for i in range(max(map(len, found)))),
        )
        for arm, found in runs.items()
    ]


def alarms(sweep: Sweep) -> list[Alarm]:
    """Every run whose record has an alarm."""
    found = []
    for run, artifact in stage_artifacts(sweep, "rl"):
        alarm = artifact.record.get("alarm")
        if isinstance(alarm, Mapping):
            numbers = (number(alarm.get(name)) for name in ("limit", "worst_share", "worst_step", "steps"))
            found.append(Alarm(run.arm, run.seed, str(alarm.get("what") or "ungradable answers"), *numbers))
    return found
