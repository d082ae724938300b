"""The table of questions chosen by how often they are solved: one row for a measurement and a band."""

from __future__ import annotations

from typing import Any

from dsm_repro.reporting.records import Artifact, Run, Sweep
from dsm_repro.reporting.sections.difficulty import table

MEASURED = {"questions": 320, "samples": 4, "pass_rate": 0.1234, "by_right": [200, 60, 40, 15, 5]}


def run(arm: str, key: str | None, record: dict[str, Any], band: tuple[float, float], explored: int | None) -> Run:
    artifacts = {"rl": Artifact("rl", f"rl-{arm}", {}, {} if explored is None else {"questions": explored}, {})}
    if key is not None:
        artifacts["difficulty"] = Artifact("difficulty", key, {}, record, {"flops": {"generate": 2e9}})
    config = {"difficulty": {"at_least": band[0], "at_most": band[1]}}
    return Run(arm, 0, (), config, {}, {}, artifacts, None)


def shown(*runs: Run) -> list[list[str]]:
    made = table(Sweep("s", {}, runs, {}, "", ""))
    assert made is not None
    return [[f"{cell.text} {cell.small}".strip() for cell in row] for row in made.rows]


def test_no_choice_no_table() -> None:
    assert table(Sweep("s", {}, (run("grpo", None, {}, (0.1, 0.8), 7),), {}, "", "")) is None


def test_one_measurement_serves_two_bands_and_arms_that_share_both_have_one_row() -> None:
    rows = shown(
        run("grpo", "a", MEASURED, (0.1, 0.8), 100),
        run("ppo", "a", MEASURED, (0.1, 0.8), 100),
        run("hard", "a", MEASURED, (0.0, 0.25), 260),
    )
    assert rows == [
        ["grpo#0, ppo#0", "320", "4", "12.3", "62.5", "1.6", "10–80", "115", "100", "2 GFLOP"],
        ["hard#0", "320", "4", "12.3", "62.5", "1.6", "0–25", "260", "260", "2 GFLOP"],
    ]


def test_what_is_not_recorded_is_a_dash() -> None:
    (row,) = shown(run("grpo", "a", {}, (0.1, 0.8), None))
    assert row[1:6] == ["—"] * 5 and row[7:9] == ["—"] * 2
