"""How good the reward models are on questions that they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsm_repro.reporting.accounts import stage_artifacts
from dsm_repro.reporting.blocks import DASH, Cell, Table, cells, count, points, si
from dsm_repro.reporting.records import Artifact, Sweep
from dsm_repro.reporting.values import mapping, number

_NOTE = (
    "On held-out questions. Accuracy: scores on the right side of one half, beside always saying the more frequent "
    "label. Ranked: pairs of a right and a wrong solution of one question in which the right one has the higher score, "
    "which is all that a group's advantages see; 50% is chance. Calibration error: mean distance between predicted and "
    "observed share, ten bins. Steps: the same accuracy at the steps before the last one."
)


def table(sweep: Sweep) -> Table | None:
    """One row for every reward model of the sweep; None where there is none."""
    arms: dict[str, list[str]] = {}
    found: dict[str, Artifact] = {}
    for run, artifact in stage_artifacts(sweep, "reward_model"):
        arms.setdefault(artifact.key, []).append(f"{run.arm}#{run.seed}")
        found[artifact.key] = artifact
    if not found:
        return None
    rows = [_row(artifact, dict.fromkeys(arms[key])) for key, artifact in found.items()]
    columns = [
        ("Arms", "<"), ("Judges", "<"), ("Trained on", ">"), ("Held out", ">"), ("Right, %", ">"), ("Accuracy, %", ">"),
        ("AUC", ">"), ("Ranked, %", ">"), ("Calibration error", ">"), ("Steps, %", ">"), ("FLOPs", ">"),
    ]  # fmt: skip
    return Table("Reward models", columns, rows, _NOTE)


def _row(artifact: Artifact, arms: Mapping[str, None]) -> list[Cell]:
    record = artifact.record
    examples, held_out = mapping(record.get("examples")), mapping(record.get("held_out"))
    last, inner, ranking = (mapping(held_out.get(name)) for name in ("last", "inner", "ranking"))
    ranked = number(ranking.get("share"))
    return cells(
        ", ".join(arms),
        str(record.get("kind") or DASH),
        count(number(examples.get("train"))),
        count(number(examples.get("held_out"))),
        _percent(number(last.get("positive_share"))),
        _against_majority(last),
        _digits(number(last.get("auc")), 3),
        Cell(_percent(ranked), f"{count(number(ranking.get('pairs')))} pairs") if ranked is not None else Cell(DASH),
        _digits(number(mapping(last.get("calibration")).get("expected_error")), 3),
        _against_majority(inner),
        si(artifact.flops, "FLOP"),
    )


def _against_majority(judged: Mapping[str, Any]) -> Cell:
    accuracy, majority = number(judged.get("accuracy")), number(judged.get("majority"))
    if accuracy is None:
        return Cell(DASH, tone="muted")
    return Cell(_percent(accuracy), "" if majority is None else f"against {_percent(majority)}")


def _percent(share: float | None) -> str:
    return DASH if share is None else points(100 * share)


def _digits(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"
