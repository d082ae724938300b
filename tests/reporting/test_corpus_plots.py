from __future__ import annotations

import xml.etree.ElementTree as ET

from synthetic_corpus import corpus_record, crawl_record, run, sweep

from dsm_repro.reporting import corpus_plots


def test_figures_are_left_out_where_their_numbers_are_not_numbers() -> None:
    crawl, record = crawl_record(), corpus_record(rounds=1)
    found = sweep(run("a", record, crawl))
    record["rounds"][0]["calibration"] = [
        {"low": "0", "high": 1},
        {"low": 0, "high": 1, "pages": 3, "positive_share": 7},
    ]
    record["histogram"] = {"edges": [0, "1"], "pages": [3], "collected": [1], "threshold": "high"}
    record["composition"]["tokens"]["pages"] = None
    assert corpus_plots.figures(found) == {}
    record["rounds"] = record["composition"] = record["histogram"] = [[]]
    assert corpus_plots.figures(found) == {}


def test_figures_are_well_formed_show_the_cut_and_keep_their_bytes() -> None:
    found = sweep(run("a", corpus_record()))
    drawn = corpus_plots.figures(found)
    assert sorted(drawn) == ["corpus-lengths.svg", "corpus-scores.svg"] and drawn == corpus_plots.figures(found)
    for svg in drawn.values():
        ET.fromstring(svg)
    assert "cut at 0.8" in drawn["corpus-scores.svg"] and "currentColor" in drawn["corpus-scores.svg"]
    assert "16.4k" in drawn["corpus-lengths.svg"]


def test_figures_of_nothing_collected_and_of_one_bin() -> None:
    record = corpus_record()
    record["histogram"] = {"edges": [0.0, 1.0], "pages": [0], "collected": [0], "threshold": None}
    record["composition"]["tokens"] = {"edges": [0, 100], "pages": [0], "collected": [0]}
    record["rounds"][-1]["calibration"] = []
    drawn = corpus_plots.figures(sweep(run("a", record)))
    assert sorted(drawn) == ["corpus-lengths.svg", "corpus-scores.svg"] and "cut" not in drawn["corpus-scores.svg"]
