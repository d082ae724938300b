"""Accuracy at equal compute: interpolation by hand, the common amount, and the section in both renderings."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic

from dsm_repro.reporting import curves, statistics
from dsm_repro.reporting.measures import results
from dsm_repro.reporting.records import read_sweep
from dsm_repro.reporting.render import render_sweep
from dsm_repro.reporting.sections.curves import amount_text


def one(arm: str, seed: int, tokens: list[float], right: list[str], flops: float = 10.0) -> curves.Traced:
    """A run evaluated after ``tokens``; FLOPs are ``flops`` times as many."""
    matrix = np.array([[mark == "1" for mark in row] for row in right], dtype=np.float64)
    spent = {"tokens": np.array(tokens), "flops": flops * np.array(tokens)}
    return curves.Traced(arm, seed, spent, tuple(f"q{i}" for i in range(matrix.shape[1])), matrix)


def test_interpolation_by_hand() -> None:
    """A quarter of the way from 100 to 200: the question learned then counts 1/4, the one forgotten 3/4."""
    run = one("a", 0, [0, 100, 200], ["0000", "1100", "1010"])
    assert curves.interpolated(run, "tokens", 125).tolist() == [1.0, 0.75, 0.25, 0.0]
    assert curves.interpolated(run, "flops", 1250).tolist() == [1.0, 0.75, 0.25, 0.0]
    assert curves.interpolated(run, "tokens", 50).mean() == 0.25
    for amount, row in ((0, "0000"), (100, "1100"), (200, "1010")):
        assert curves.interpolated(run, "tokens", amount).tolist() == [float(mark) for mark in row]
    with pytest.raises(ValueError, match=r"201 tokens lie outside \[0, 200\]"):
        curves.interpolated(run, "tokens", 201)


def test_where_several_models_had_spent_the_same_the_last_counts() -> None:
    """An offline method draws first and then only updates."""
    run = one("a", 0, [0, 100, 100, 100], ["00", "00", "10", "11"])
    assert curves.interpolated(run, "tokens", 100).tolist() == [1.0, 1.0]
    # on the way there the line ends at the first of them
    assert curves.interpolated(run, "tokens", 50).tolist() == [0.0, 0.0]


def test_arms_are_set_side_by_side_at_the_largest_amount_that_all_reached() -> None:
    """b's second seed ends at 80: a stands at 80 of [0, 100], where 4/5 of its gain of one question in two is made."""
    runs = [
        one("a", 0, [0, 100], ["00", "10"]),
        one("b", 0, [0, 120], ["00", "11"]),
        one("b", 1, [0, 80], ["00", "01"]),
    ]
    at = curves.at_equal(runs, "tokens")
    assert at is not None and at.amount == 80
    assert at.intervals["a"].value == pytest.approx(40.0)
    # (2/3 of both questions + one of two) / 2
    assert at.intervals["b"].value == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    assert (at.intervals["b"].replicates, at.intervals["b"].questions) == (2, 2)
    assert at.intervals["b"] == statistics.accuracy(np.array([[2 / 3, 2 / 3], [0.0, 1.0]]))


def test_other_prices_move_the_common_amount() -> None:
    """At equal tokens the two are equal; b pays twice for a token, so at equal FLOPs it is half as far."""
    runs = [one("a", 0, [0, 100], ["00", "11"]), one("b", 0, [0, 100], ["00", "11"], flops=20.0)]
    tokens, flops = curves.at_equal(runs, "tokens"), curves.at_equal(runs, "flops")
    assert tokens is not None and {i.value for i in tokens.intervals.values()} == {100.0}
    assert flops is not None and flops.amount == 1000
    assert {arm: i.value for arm, i in flops.intervals.items()} == {"a": 100.0, "b": 50.0}
    assert curves.at_equal(runs, "seconds") is None, "nobody has written down seconds"


def test_a_line_is_the_mean_of_its_seeds_where_all_have_been() -> None:
    runs = [one("a", 0, [0, 100], ["00", "11"]), one("a", 1, [0, 50, 200], ["10", "10", "11"])]
    (line,) = curves.lines(runs, "tokens")
    assert line.x == [0.0, 50.0, 100.0]
    assert line.low == pytest.approx([0.0, 50.0, 200 / 3])
    assert line.high == pytest.approx([50.0, 50.0, 100.0])
    assert line.mean == pytest.approx([25.0, 50.0, (200 / 3 + 100) / 2])


def test_a_difference_at_equal_compute_is_of_common_seeds_alone() -> None:
    """b's lone seed 1 stands against a's seed 1, not against the mean of a's three."""
    rows = {0: "1111", 1: "1100", 2: "1111"}
    runs = [one("a", seed, [0, 100], ["0000", row]) for seed, row in rows.items()]
    runs.append(one("b", 1, [0, 100], ["0000", "1000"]))
    at = curves.at_equal(runs, "tokens", [("a", "b"), ("a", "c")])
    assert at is not None and list(at.differences) == ["a − b"]
    assert (at.differences["a − b"].value, at.differences["a − b"].replicates) == (25.0, 1)
    assert at.intervals["a"].replicates == 3 and at.intervals["b"].replicates == 1


def test_seconds_that_measure_the_load_of_the_machine_are_not_compared() -> None:
    def timed(seed: int, seconds: float) -> curves.Traced:
        run = one("a", seed, [0, 100], ["00", "11"])
        return replace(run, spent={**run.spent, "seconds": np.array([0.0, seconds])})

    steady, loaded = [timed(0, 100), timed(1, 140)], [timed(0, 100), timed(1, 211)]
    assert curves.uneven(steady) == [] and curves.at_equal(steady, "seconds") is not None
    assert curves.uneven(loaded) == ["a"] and curves.at_equal(loaded, "seconds") is None
    assert curves.at_equal(loaded, "flops") is not None


def test_an_unchanging_curve_has_the_interval_of_its_accuracy() -> None:
    rng = np.random.default_rng(0)
    rows = ["".join("01"[int(v)] for v in rng.integers(0, 2, 200)) for _ in range(3)]
    runs = [one("a", seed, [0, 60, 100 + seed], [row] * 3) for seed, row in enumerate(rows)]
    at = curves.at_equal(runs, "tokens")
    assert at is not None
    assert at.intervals["a"] == statistics.accuracy(np.array([[float(mark) for mark in row] for row in rows]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("finished")
    synthetic.write_sweep(root / "store", modes=("cot", "pot"), questions=60)
    return root / "store", render_sweep(root / "store", "rl_algorithm", root / "reports").parent


def test_curves_are_read_with_the_seconds_of_their_steps(finished: tuple[Path, Path]) -> None:
    sweep = read_sweep(finished[0], "rl_algorithm")
    found = results(sweep)
    runs = curves.traced(sweep, found.columns[0])
    assert [(r.arm, r.seed) for r in runs] == [(arm, seed) for arm in ("PPO", "GRPO") for seed in (0, 1, 2)]
    steps = json.loads((finished[0] / "rl" / sweep.runs[3].keys["rl"] / "record.json").read_text())["steps"]
    assert runs[0].spent["seconds"].tolist() == [0.5 * round(share * steps) for share in (0, 0.25, 0.5, 0.75, 1)]
    # the last model is the one that was evaluated
    assert runs[0].right[-1].tolist() == found.measured["PPO", "cot"].right[0].tolist()
    at = curves.at_equal(runs, "tokens")
    assert at is not None and at.amount == 2_000 * steps, "PPO pays more for a token and has drawn fewer"
    assert at.intervals["PPO"].value == pytest.approx(found.measured["PPO", "cot"].interval.value)


def test_the_section_stands_on_the_page_and_in_markdown(finished: tuple[Path, Path]) -> None:
    html, markdown = (finished[1] / "index.html").read_text(), (finished[1] / "report.md").read_text()
    assert html.index('id="comparisons"') < html.index('id="equal-compute"') < html.index('id="compute"')
    for mode in ("cot", "pot"):
        svg = (finished[1] / f"equal-compute-{mode}.svg").read_text()
        ET.fromstring(svg)
        for label in ("generated tokens", "FLOPs", "seconds", "GRPO", "PPO"):
            assert f">{label}<" in svg, label
        assert "SFT" not in svg, "no stage rl, no curve"
        assert f"](equal-compute-{mode}.svg)" in markdown
        assert f"Accuracy, %, in {mode} at the largest amount that every arm reached" in markdown
    assert re.search(r'aria-label="Accuracy in cot over generated tokens[^"]*At \d+ k tokens: PPO \d+\.\d', html)
    row = next(line for line in markdown.splitlines() if line.startswith("| GRPO |") and line.endswith("| 3 |"))
    assert len(re.findall(r"\d+\.\d \[\d+\.\d, \d+\.\d\]", row)) == 3
    # the claim's comparison of the two, at each amount
    assert len(re.findall(r"^\| GRPO − PPO \|(?: [+−]?\d+\.\d \[[^]]+\] \|){3} 3 \|$", markdown, re.MULTILINE)) == 1


def test_an_arm_without_a_curve_is_named_and_without_any_there_is_no_section(tmp_path: Path) -> None:
    pages = {}
    for arms in ((), ("GRPO",)):
        store = tmp_path / f"{len(arms)}"
        index = synthetic.write_sweep(store, questions=20, curves=arms)
        pages[arms] = render_sweep(store, index["name"], store / "reports").read_text()
    assert 'id="equal-compute"' not in pages[()] and not list(tmp_path.glob("0/reports/*/equal-*.svg"))
    assert "Without a curve in cot: PPO." in pages["GRPO",]


def test_amounts_have_units() -> None:
    assert amount_text("tokens", 31_200) == "31.2 k tokens"
    assert amount_text("flops", 4.1e12) == "4.1 TFLOP"
    assert amount_text("seconds", 125) == "2 min 05 s"
