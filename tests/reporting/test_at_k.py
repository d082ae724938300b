"""The section on more than one answer, and comparisons that name Maj@K or Pass@K."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic

from dsm_repro.evaluation.sampled import Tally, row
from dsm_repro.reporting import at_k, measures, records, statistics
from dsm_repro.reporting.render import render_sweep

CLAIM: dict[str, Any] = {
    "title": "Majority vote and coverage",
    "statement": "RL raises Maj@K and not Pass@K.",
    "comparisons": [
        {"a": "GRPO", "b": "SFT", "mode": "cot", "metric": "maj@16", "expect": "a_greater", "margin": 0.0},
        {"a": "GRPO", "b": "SFT", "mode": "cot", "metric": "pass@16", "expect": "a_not_greater", "margin": 3.0},
        {"a": "GRPO", "b": "SFT", "mode": "cot", "metric": "accuracy", "expect": "none"},
    ],
}


def draw_votes(store: Path, index: dict[str, Any], n: int = 16) -> None:
    """Give every evaluation votes: GRPO's answers gather on one, right or wrong, SFT's spread."""
    for arm in index["arms"]:
        folder = store / "evaluate" / arm["stages"]["evaluate"]
        gathered = arm["name"] == "GRPO"
        rng = np.random.default_rng([arm["seed"], gathered])
        rows = []
        for i, line in enumerate((folder / "samples.jsonl").read_text().splitlines()):
            sample = json.loads(line)
            solvable = np.random.default_rng(i).random()
            p = 0.0 if solvable > 0.8 else (0.75 if gathered else 0.4)
            right, *wrong, silent = (
                int(v) for v in rng.multinomial(n, [p, (1 - p) * 0.5, (1 - p) * 0.4, (1 - p) * 0.1])
            )
            classes = tuple(sorted((f"{j}", v) for j, v in enumerate(wrong) if v))
            kept = row(Tally(n, right, classes, silent), 0)
            rows.append({**{key: sample[key] for key in ("task", "mode", "id")}, **kept})
        synthetic.publish(folder / "at_k.jsonl", "".join(json.dumps(r) + "\n" for r in rows))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("at_k")
    index = synthetic.write_sweep(root / "store", "votes", arms={"SFT": 0.4, "GRPO": 0.5}, claim=CLAIM)
    draw_votes(root / "store", index)
    return root / "store", render_sweep(root / "store", "votes", root / "reports").parent


def test_a_comparison_is_of_the_metric_that_it_names(finished: tuple[Path, Path]) -> None:
    found = measures.results(records.read_sweep(finished[0], "votes"))
    maj, coverage, accuracy = found.compared
    assert [c.metric for c in found.compared] == ["maj@16", "pass@16", "accuracy"]
    a, b = found.measured["GRPO", "cot"], found.measured["SFT", "cot"]
    assert accuracy.difference is not None and maj.difference is not None and coverage.difference is not None
    assert accuracy.difference.value == pytest.approx(100 * (a.right.mean() - b.right.mean()))
    # the mean of what the evaluations wrote, to within the rounding of a score
    written = [
        np.mean([[v["maj"][-1] for v in votes.values()] for votes in m.votes]) for m in (a, b)
    ]  # fmt: skip
    assert maj.difference.value == pytest.approx(100 * (written[0] - written[1]), abs=0.02)
    assert maj.verdict == "reproduced" and coverage.verdict == "reproduced"
    assert maj.difference.value > 5 > 3 > coverage.difference.value
    assert maj.sentence.startswith("maj@16: GRPO − SFT = +")
    assert accuracy.sentence.startswith("GRPO − SFT = ")


def test_the_section_shows_curves_and_numbers(finished: tuple[Path, Path]) -> None:
    folder = finished[1]
    ET.fromstring((folder / "at-k-cot.svg").read_text())
    html, markdown = (folder / "index.html").read_text(), (folder / "report.md").read_text()
    assert html.index('id="comparisons"') < html.index('id="at-k"') < html.index('id="categories"')
    for text in (html, markdown):
        assert "More than one answer" in text and "pass@K, GRPO" in text
        assert "cot, maj@16" in text, "the verdict card says of what a difference is"
    found = measures.results(records.read_sweep(finished[0], "votes"))
    lines = {(line.arm, line.kind): line for line in at_k.lines(found)}
    for line in lines.values():
        assert line.ks == (1, 2, 4, 8, 16)
        assert all(i.low <= i.value <= i.high for i in line.intervals)
    coverage = [i.value for i in lines["SFT", "pass"].intervals]
    assert coverage == sorted(coverage)
    assert lines["SFT", "maj"].intervals[0].value == pytest.approx(coverage[0], abs=0.02)
    assert f"{coverage[-1]:.1f}" in markdown


def test_a_band_is_the_bootstrap_of_the_mean(finished: tuple[Path, Path]) -> None:
    found = measures.results(records.read_sweep(finished[0], "votes"))
    m = found.measured["GRPO", "cot"]
    line = next(line for line in at_k.lines(found) if (line.arm, line.kind) == ("GRPO", "maj"))
    cells = at_k.cells(m.votes, m.questions, "maj@4")
    assert cells is not None and cells.shape == (3, 160)
    expected = statistics.accuracy(cells, at_k.RESAMPLES)
    assert line.intervals[2] == expected


def test_scores_are_rounded_so_that_float32_sums_are_exact(finished: tuple[Path, Path]) -> None:
    m = measures.results(records.read_sweep(finished[0], "votes")).measured["SFT", "cot"]
    cells = at_k.cells(m.votes, m.questions, "maj@8")
    assert cells is not None
    assert float(np.float32(cells.sum())) == cells.sum() == cells[:, ::-1].astype(np.float32).sum()


def test_rendering_again_gives_the_same_bytes(finished: tuple[Path, Path], tmp_path: Path) -> None:
    again = render_sweep(finished[0], "votes", tmp_path).parent
    for path in finished[1].iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_without_votes_there_is_no_section_and_no_number(tmp_path: Path) -> None:
    synthetic.write_sweep(tmp_path, "none", arms={"SFT": 0.4, "GRPO": 0.5}, questions=40, claim=CLAIM)
    found = measures.results(records.read_sweep(tmp_path, "none"))
    assert at_k.lines(found) == []
    maj = found.compared[0]
    assert maj.difference is None and maj.verdict == "inconclusive"
    assert maj.sentence == "maj@16: GRPO − SFT could not be measured: GRPO has no maj@16"
    page = render_sweep(tmp_path, "none", tmp_path / "reports")
    assert "More than one answer" not in page.read_text()
    assert not list(page.parent.glob("at-k*"))


def test_replicates_that_drew_different_numbers_are_not_mixed(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, "mixed", arms={"SFT": 0.4, "GRPO": 0.5}, questions=40, claim=CLAIM)
    draw_votes(tmp_path, index)
    draw_votes(tmp_path, {"arms": [a for a in index["arms"] if a["name"] == "GRPO" and a["seed"] == 1]}, n=8)
    found = measures.results(records.read_sweep(tmp_path, "mixed"))
    assert {line.arm for line in at_k.lines(found)} == {"SFT"}
    assert "GRPO has no maj@16" in found.compared[0].sentence


def test_comparisons_csv_still_has_a_row_for_each(finished: tuple[Path, Path]) -> None:
    with (finished[1] / "comparisons.csv").open() as f:
        assert len(list(csv.DictReader(f))) == 3
