"""`dsm grade`: answers in, verdicts and disagreements out; a bad line is named, hostile answers are graded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.cli import main

LINES = [
    {"id": "a", "gold": "0.5", "prediction": "50"},
    {"id": "b", "gold": "1, 2", "completion": r"\boxed{2} and \boxed{1}"},
    {"id": 3, "gold": 7, "prediction": 7},
    {"id": "d", "gold": "7", "prediction": None},
    {"id": "e", "gold": "7", "completion": "I do not know."},
    {"id": "f", "gold": "7", "prediction": "__import__('os').system('true')\x00\ud800" + "(" * 10_000},
]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)) + "\n\n", encoding="utf-8")
    return path


def run(path: Path, graders: str, *more: str) -> tuple[int, list[dict[str, Any]]]:
    out = path.with_name("out.jsonl")
    status = main(["grade", str(path), "--graders", graders, "--out", str(out), *more])
    return status, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def test_one_line_for_each_verdict_and_the_table(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, rows = run(answers, "math_verify,hendrycks,deepseek")
    assert status == 0 and len(rows) == 3 * len(LINES)
    found = {(row["id"], row["grader"].split("/")[0].split("+")[0]): row for row in rows}
    assert [found[line["id"], "math_verify"]["verdict"] for line in LINES] == [
        "incorrect",
        "correct",
        "correct",
        "no_answer",
        "no_answer",
        "ungradable",
    ]
    assert found["a", "deepseek"]["verdict"] == "correct"
    assert found["b", "hendrycks"]["verdict"] == "incorrect"
    assert {row["how"] for row in rows} == {"given", "boxed", "none"}
    assert found["b", "math_verify"]["extracted"] == "2, 1" and found["e", "math_verify"]["extracted"] is None
    assert set(rows[0]) == {"id", "grader", "verdict", "reason", "extracted", "how"}

    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == ["6", "lines", "accuracy", "correct", "incorrect", "no_answer", "ungradable"]
    assert printed[1] == ["math_verify", "0.3333", "2", "1", "2", "1"]
    # b is right for math_verify alone, a for deepseek alone
    assert printed[-3:] == [["math_verify", "1", "1"], ["hendrycks", "0", "0"], ["deepseek", "1", "1"]]


def test_one_grader_prints_no_disagreements(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(answers, "hendrycks")[0] == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "answers.jsonl:1: not a JSON object"),
        ("[1]", "answers.jsonl:1: not a JSON object but a list"),
        ('{"id": 1, "prediction": "2"}', "answers.jsonl:1: no key gold"),
        ('{"id": 1, "gold": "2"}', "answers.jsonl:1: give either prediction or completion"),
        ('{"id": 1, "gold": "2", "prediction": "2", "completion": "2"}', "give either prediction or completion"),
        ('{"id": 1, "gold": ["2"], "prediction": "2"}', "gold=['2']: not a text or a number"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_left(
    answers: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    answers.write_text(line + "\n", encoding="utf-8")
    assert run(answers, "hendrycks") == (1, [])
    assert said in capsys.readouterr().err
    assert [path.name for path in answers.parent.iterdir()] == ["answers.jsonl"]


@pytest.mark.parametrize(
    ("graders", "more", "said"),
    [
        ("eval", (), "--graders=eval: no such grader"),
        (",", (), "--graders: empty"),
        ("hendrycks", ("--timeout", "0"), "grader.timeout=0.0"),
    ],
)
def test_wrong_words_are_refused(
    answers: Path, capsys: pytest.CaptureFixture[str], graders: str, more: tuple[str, ...], said: str
) -> None:
    assert run(answers, graders, *more)[0] == 1
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_or_is_the_output(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(answers.with_name("none.jsonl"), "hendrycks")[0] == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["grade", str(answers), "--out", str(answers)]) == 1
    assert "is the file of answers" in capsys.readouterr().err
    assert len(answers.read_text().splitlines()) == len(LINES) + 1
