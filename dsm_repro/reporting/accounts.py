"""What the arms spent and what they shared, from manifests, cost ledgers and records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dsm_repro.config.resolve import TRAINING_STAGES
from dsm_repro.reporting.plots import Curve
from dsm_repro.reporting.records import Artifact, Run, Sweep, in_order
from dsm_repro.reporting.values import number


@dataclass(frozen=True)
class ArmCost:
    arm: str
    runs: int
    done: int
    #: the last training stage, and per distinct artifact of it
    stage: str
    steps: tuple[float, ...]
    flops: tuple[float, ...]
    #: per distinct run: everything from the first stage on
    total_flops: tuple[float, ...]
    total_seconds: tuple[float, ...]


@dataclass(frozen=True)
class StageCost:
    stage: str
    #: distinct artifacts in this sweep, and those that every run on its own would make
    unique: int
    separate: int
    hits: int
    flops: float
    tokens: float
    seconds: float
    separate_seconds: float


def steps(artifact: Artifact) -> float | None:
    """Optimiser steps of a stage: from its record, else the last line of its metrics."""
    if isinstance(artifact.record.get("steps"), int | float):
        return float(artifact.record["steps"])
    return float(artifact.metrics[-1]["step"]) if artifact.metrics else None


def distinct_runs(sweep: Sweep) -> list[Run]:
    """Runs that would not be one and the same when run apart: equal arm and keys count once."""
    found: dict[tuple[object, ...], Run] = {}
    for run in sweep.runs:
        found.setdefault((run.arm, *run.keys.items()), run)
    return list(found.values())


def shared_by_seeds(sweep: Sweep) -> list[str]:
    """Stages of which all seeds of any arm have one artifact, in pipeline order.

    An arm that is one run for all its seeds, a checkpoint that others start from, is not asked.
    """
    keys: dict[str, dict[str, set[str]]] = {}
    for run in distinct_runs(sweep):
        for stage, key in run.keys.items():
            keys.setdefault(run.arm, {}).setdefault(stage, set()).add(key)
    several = [of_stage for of_stage in keys.values() if any(len(found) > 1 for found in of_stage.values())]
    stages = dict.fromkeys(stage for of_stage in several for stage in of_stage)
    return [stage for stage in stages if all(len(of_stage.get(stage, ())) < 2 for of_stage in several)]


def arm_costs(sweep: Sweep) -> list[ArmCost]:
    costs = []
    for arm in sweep.arms:
        runs = [r for r in sweep.runs if r.arm == arm]
        # the last stage that changes the model is what an arm's comparison is about
        last = next((s for s in reversed(TRAINING_STAGES) if any(s in r.keys for r in runs)), "")
        trained = {r.artifacts[last].key: r.artifacts[last] for r in runs if last in r.artifacts}
        whole = [r for r in distinct_runs(sweep) if r.arm == arm and r.evaluation is not None]
        costs.append(
            ArmCost(
                arm=arm,
                runs=len(runs),
                done=sum(r.evaluation is not None for r in runs),
                stage=last,
                steps=tuple(s for a in trained.values() if (s := steps(a)) is not None),
                flops=tuple(a.flops for a in trained.values()),
                total_flops=tuple(sum(a.flops for a in r.artifacts.values()) for r in whole),
                total_seconds=tuple(sum(a.seconds for a in r.artifacts.values()) for r in whole),
            )
        )
    return costs


def stage_costs(sweep: Sweep) -> list[StageCost]:
    """Per stage: how many artifacts the sweep needed, how many separate runs would make, and their cost."""
    runs = distinct_runs(sweep)
    costs = []
    for stage in in_order({s for r in sweep.runs for s in r.keys}):
        keys = {r.keys[stage] for r in sweep.runs if stage in r.keys}
        artifacts = [a for (s, _), a in sweep.artifacts().items() if s == stage]
        hits = {r.keys[stage] for r in sweep.runs if r.states.get(stage) == "hit"}
        costs.append(
            StageCost(
                stage=stage,
                unique=len(keys),
                separate=sum(stage in r.keys for r in runs),
                hits=len(hits),
                flops=sum(a.flops for a in artifacts),
                tokens=sum(a.tokens for a in artifacts),
                seconds=sum(a.seconds for a in artifacts),
                separate_seconds=sum(r.artifacts[stage].seconds for r in runs if stage in r.artifacts),
            )
        )
    return costs


def spent_flops(record: dict[str, Any]) -> float | None:
    """FLOPs of an rl record: its total, or the sum over purposes."""
    flops = record.get("flops")
    if isinstance(flops, int | float):
        return float(flops)
    if not isinstance(flops, dict):
        return None
    if isinstance(flops.get("total"), int | float):
        return float(flops["total"])
    return float(sum(v for v in flops.values() if isinstance(v, int | float)))


def stage_artifacts(sweep: Sweep, stage: str) -> Iterator[tuple[Run, Artifact]]:
    """Each distinct artifact of a stage once per arm, with the first run that has it."""
    seen: set[tuple[str, str]] = set()
    for run in sweep.runs:
        artifact = run.artifacts.get(stage)
        if artifact is not None and (run.arm, artifact.key) not in seen:
            seen.add((run.arm, artifact.key))
            yield run, artifact


def distinct_artifacts(sweep: Sweep, stage: str) -> list[tuple[Artifact, list[str], int]]:
    """Each artifact of a stage once: with the arms that stand on it, and the seed of the first run that does."""
    arms: dict[str, list[str]] = {}
    first: dict[str, tuple[Artifact, int]] = {}
    for run, artifact in stage_artifacts(sweep, stage):
        arms.setdefault(artifact.key, []).append(run.arm)
        first.setdefault(artifact.key, (artifact, run.seed))
    return [(artifact, arms[key], seed) for key, (artifact, seed) in first.items()]


def metric_lines(artifact: Artifact) -> Iterator[dict[str, Any]]:
    """The lines of a stage's metrics, with the tokens (of rl: those generated) and seconds spent up to each."""
    seconds = {line.get("step"): line.get("seconds") for line in artifact.times}
    generated = 0.0
    for line in artifact.metrics:
        spent: dict[str, Any] = {}
        if number(line.get("tokens_generated")) is not None:
            generated += float(line["tokens_generated"])
            spent["tokens"] = generated
        if line.get("step") in seconds:
            spent["seconds"] = seconds[line["step"]]
        yield {**line, **spent}


def learning_curves(sweep: Sweep, stage: str, x: str, y: str) -> list[Curve]:
    """``y`` over ``x`` of every run of a stage; lines without both are left out."""
    found = []
    for run, artifact in stage_artifacts(sweep, stage):
        pairs = [(number(m.get(x)), number(m.get(y))) for m in metric_lines(artifact)]
        points = [(a, b) for a, b in pairs if a is not None and b is not None]
        if len(points) > 1:
            found.append(Curve(run.arm, run.seed, [p[0] for p in points], [p[1] for p in points]))
    return found
