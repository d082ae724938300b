"""The table of reward models: one row each, whoever shares it, and dashes where the record says nothing."""

from __future__ import annotations

from typing import Any

from dsm_repro.reporting.records import Artifact, Run, Sweep
from dsm_repro.reporting.sections.reward_models import table

JUDGED = {
    "count": 90, "positive_share": 0.3, "majority": 0.7, "accuracy": 0.8, "auc": 0.8765,
    "calibration": {"bins": [], "expected_error": 0.0432},
}  # fmt: skip
OUTCOME = {
    "kind": "outcome",
    "examples": {"train": 810, "held_out": 90},
    "held_out": {"last": JUDGED, "ranking": {"questions": 12, "pairs": 1234, "share": 0.625}},
}
PROCESS = {**OUTCOME, "kind": "process", "held_out": {**OUTCOME["held_out"], "inner": {**JUDGED, "accuracy": 0.75}}}  # type: ignore[dict-item]


def run(arm: str, seed: int, key: str | None, record: dict[str, Any] | None = None) -> Run:
    cost = {"flops": {"generate": 1e9, "train": 2e9}}
    artifacts = {} if key is None else {"reward_model": Artifact("reward_model", key, {}, record or {}, cost)}
    return Run(arm, seed, (), {}, {}, {}, artifacts, None)


def shown(*runs: Run) -> list[list[str]]:
    made = table(Sweep("s", {}, runs, {}, "", ""))
    assert made is not None
    return [[f"{cell.text} {cell.small}".strip() for cell in row] for row in made.rows]


def test_no_reward_model_no_table() -> None:
    assert table(Sweep("s", {}, (run("sft", 0, None),), {}, "", "")) is None


def test_a_model_that_arms_share_has_one_row() -> None:
    one, other = shown(run("one", 0, "a", OUTCOME), run("two", 0, "a", OUTCOME), run("one", 1, "b", PROCESS))
    assert one == [
        "one#0, two#0", "outcome", "810", "90", "30.0", "80.0 against 70.0", "0.876", "62.5 1,234 pairs", "0.043", "—",
        "3 GFLOP",
    ]  # fmt: skip
    assert other[:2] == ["one#1", "process"] and other[9] == "75.0 against 70.0"


def test_what_is_not_recorded_is_a_dash() -> None:
    nothing: dict[str, Any] = {"held_out": {"last": {"auc": None}, "ranking": {"share": None}}}
    (row,) = shown(run("one", 0, "a", nothing))
    assert row[1:10] == ["—"] * 9
