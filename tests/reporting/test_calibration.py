"""Released weights beside their published figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic

from dsm_repro.config.compose import expand
from dsm_repro.config.validate import validate_sweep
from dsm_repro.evaluation.exemplars import exemplars
from dsm_repro.evaluation.suite import tasks_of
from dsm_repro.reporting import records
from dsm_repro.reporting.ledger import lookup
from dsm_repro.reporting.render import render_sweep
from dsm_repro.reporting.sections import calibration

CLAIM: dict[str, Any] = {
    "title": "Calibration",
    "statement": "As published.",
    "comparisons": [],
    "reference": [
        "paper.t5.cot.rl.math",
        "deepdive.format_cot",
        "release.base.gsm8k",
        "release.rl.cot.math",
        "release.rl.cot.gsm8k",
        "release.rl.program.math",
    ],
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An arm measured on one task, and one on two."""
    root = tmp_path_factory.mktemp("calibration")
    index = synthetic.write_sweep(root / "store", "calibration", arms={"base": 0.4, "rl": 0.5}, claim=CLAIM)
    for arm in index["arms"]:
        path = root / "store" / "evaluate" / arm["stages"]["evaluate"] / "record.json"
        record = json.loads(path.read_text())
        if arm["name"] == "base":
            # 64.2 % are published
            record["results"] = {"cot": {"n": 1319, "accuracy": 850 / 1319}}
            record["protocol"]["cot"]["task"] = "gsm8k"
        else:
            by_task = {"math": {"n": 5000, "accuracy": 0.45}}
            tool = {"by_task": {"math": {"n": 5000, "accuracy": 0.5, "program_accuracy": 0.51}}}
            record["results"] = {"cot": {"n": 5000, "accuracy": 0.45, "by_task": by_task}, "tool": tool}
            record["protocol"]["cot"]["task"] = "gsm8k, math"
        synthetic.rewrite(path, record)
    return root / "store", render_sweep(root / "store", "calibration", root / "reports").parent


def test_each_published_figure_is_set_beside_its_arm_mode_and_task(measured: tuple[Path, Path]) -> None:
    found = {c.entry.id: c for c in calibration.calibrated(records.read_sweep(measured[0], "calibration"))}
    # gsm8k was not measured in this arm
    assert set(found) == {"release.base.gsm8k", "release.rl.cot.math", "release.rl.program.math"}
    base, math, program = (found[f"release.{name}"] for name in ("base.gsm8k", "rl.cot.math", "rl.program.math"))
    assert base.agrees and base.low < 64.2 < base.high
    # 51.7 % are published, and 45 % of 5,000 have an interval of 1.4 points to either side
    assert not math.agrees and math.high - math.low == pytest.approx(2.76, abs=0.02)
    assert program.agrees and program.value == pytest.approx(51)


def test_the_report_shows_the_table(measured: tuple[Path, Path]) -> None:
    text = (measured[1] / "report.md").read_text()
    assert "## Calibration" in text and "| base | cot | gsm8k | 1,319 | 64.4 [61.8, 67.0] | 64.2 | +0.2 | yes |" in text


@pytest.mark.parametrize("scale", ["smoke", "mini", "gpu", "paper"])
def test_the_sweep_is_sound_at_every_scale_and_its_references_are_of_its_arms(scale: str) -> None:
    sweep = expand(["sweep=released_weights", f"scale={scale}"])
    validate_sweep(sweep)
    arms = {arm.name: arm.config for arm in sweep.arms}
    assert set(arms) == {"base", "instruct", "rl"} and {c.prompts for c in arms.values()} == {"release"}
    for entry in lookup(sweep.claim.reference):
        _, arm, *mode, task = entry.id.split(".")
        assert task in tasks_of(arms[arm]), entry.id
        assert {"program": "tool"}.get(*mode, *mode) in arms[arm].evaluation.modes if mode else True
    assert [len(exemplars(arms["base"], task, "cot")) for task in tasks_of(arms["base"])] == [8, 4]
