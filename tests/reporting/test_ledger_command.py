"""``dsm ledger``: what it chooses, what it says of it, and what it says where there is nothing."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from dsm_repro.cli import main
from dsm_repro.reporting.ledger import everything
from dsm_repro.reporting.ledger.command import COLUMNS, as_tables, select


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["ledger", *words]) == 0
    return capsys.readouterr().out


def ids(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    return [row["id"] for row in json.loads(printed(capsys, *words, "--json"))]


def test_without_a_filter_it_lists_the_whole_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    assert ids(capsys) == [item.id for item in everything()]
    assert len(printed(capsys).splitlines()) == 1 + len(everything())


def test_filters_narrow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    found = ids(capsys, "paper.t5.*", "paper.t1.*", "--table", "table 5", "--benchmark", "GSM8K")
    assert found == [i.id for i in everything() if i.id.startswith("paper.t5.") and i.id.endswith(".gsm8k")]
    assert len(found) == 26
    # a figure is of two benchmarks
    assert ids(capsys, "--table", "Figure 5", "--benchmark", "math") == ["paper.fig5.order"]


def test_a_number_comes_with_its_size_error_protocol_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    head, line = printed(capsys, "paper.t5.cot.rl.math").splitlines()
    assert " ".join(head.split()) == "id table model benchmark value n standard error protocol source"
    for text in ("Table 5", "51.7", "5000", "0.71", "0-shot CoT, top-1 greedy", "arXiv:2402.03300 §3.2"):
        assert text in line


def test_a_figure_that_the_paper_does_not_have_says_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    head, missing, there = printed(capsys, "deepdive.gpt4*").splitlines()
    assert head.endswith("in the paper      what the paper has")
    assert "not in the paper" in missing and "Table 5 prints 52.9" in missing
    assert "not in the paper" not in there and "yes" in there
    rows = json.loads(printed(capsys, "deepdive.gpt4*", "--json"))
    assert [row["in_paper"] for row in rows] == [False, True]


def test_an_order_stands_where_a_value_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert "RL, Pass@K not above SFT, Pass@K" in printed(capsys, "paper.fig7.order")
    (row,) = json.loads(printed(capsys, "paper.fig6.order", "--json"))
    assert row["value"] is row["n"] is row["standard_error"] is None
    assert [pair["relation"] for pair in row["order"]] == ["greater"]


def test_csv_has_a_row_for_each_with_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "paper.t9.*", "paper.fig5.order", "--csv"))))
    assert list(rows[0]) == [*COLUMNS.values(), "order"]
    assert [row["value"] for row in rows] == ["20.1", "21.7", "16.8", "16.4", "14.8", "11.9", ""]
    assert rows[-1]["order"].startswith("Online RFT ≈ RFT (early in training)")


def test_a_terminal_shows_numbers_of_one_table_and_protocol_together() -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    tables = as_tables(select(["paper.t3.*"]))
    assert len(tables) == 2 and [table.row_count for table in tables] == [12, 12]
    for table in tables:
        console.print(table)
    text = console.export_text()
    assert "Table 3 · base models, few-shot PoT" in text and "miniF2F" not in text
    assert all(item.id in text for item in select(["paper.t3.*"])), "an id is never cut"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["paper.t5.cot.rl.maths"], "paper.t5.cot.rl.maths: no id of the ledger. Nearest: paper.t5.cot.rl.math"),
        (["paper.t5"], "Nearest: paper.t5.*."),
        (["paper.t5.*", "paper.t55.*"], "paper.t55.*: no id"),
        (["--table", "Tabel 5"], "--table=Tabel 5: not in the ledger. Nearest: Table 5"),
        (["--benchmark", "gsm8"], "--benchmark=gsm8: not in the ledger. Nearest: gsm8k"),
        (["paper.t1.*", "--benchmark", "mbpp"], "paper.t1.* --benchmark=mbpp: no entry of the ledger meets all"),
    ],
)
def test_what_matches_nothing_is_an_error_that_names_the_nearest(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", *words]) == 1
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    assert line.startswith("error: ") and said in line


def test_json_and_csv_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "--json", "--csv"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dsm_repro.cli import main; code = main(['ledger', 'paper.t5.cot.rl.math']);"
        "print([m for m in ('torch', 'hydra', 'omegaconf', 'numpy', 'rich') if m in sys.modules]); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.rstrip().endswith("[]")
