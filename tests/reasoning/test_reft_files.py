"""Files as ReFT's repository has them become the lines that the rest reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsm_repro.reasoning.reft_files import main
from dsm_repro.reasoning.reft_programs import is_reft, solve


def written(path: Path, *rows: tuple[str, str, str]) -> str:
    names = ("item_id", "question", "answer_value", "answer_cot")
    path.write_text(json.dumps([dict(zip(names, row, strict=False)) for row in rows], indent=2))
    return str(path)


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_words_and_programs_of_one_question_are_one_line(tmp_path: Path) -> None:
    words = written(
        tmp_path / "nl.json",
        ("svamp_0", "1 and 1?", "2.0", "1 + 1 = 2.\n\nTherefore, the answer is <2>."),
        ("svamp_12", "in words alone", "3.0", "Therefore, the answer is <3>."),
        ("svamp_13", "2 and 2?", "4.0", "Therefore, the answer is <4>."),
    )
    programs = written(
        tmp_path / "sdp.json",
        ("svamp_13", "2 and 2?", "4.0", "def solution():\n    result = 2 + 2\n    return result"),
        ("svamp_0", "1 and 1?", "2.0", "import math\ndef solution():\n    return 1 + 1"),
    )
    out = tmp_path / "train.jsonl"
    assert main([words, programs, "--out", str(out)]) == 0
    first, second = read(out)
    assert list(first) == ["id", "question", "answer", "cot", "pot"] and first["answer"] == "2.0"
    assert (first["id"], second["id"]) == ("svamp_0", "svamp_13")
    assert is_reft(first) and solve(first).reason == solve(second).reason == ""


def test_a_test_set_has_no_solutions(tmp_path: Path) -> None:
    out = tmp_path / "test.jsonl"
    assert main([written(tmp_path / "test.json", ("svamp_3735", "how many ?", "14.0")), "--out", str(out)]) == 0
    assert read(out) == [{"id": "svamp_3735", "question": "how many ?", "answer": "14.0"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{broken", "not a JSON list"),
        ('[{"question": "q"}]', "KeyError('item_id')"),
        ("[]", "no question stands in all"),
    ],
)
def test_what_is_no_such_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    assert main([str(tmp_path / "a.json"), "--out", str(tmp_path / "b.jsonl")]) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "b.jsonl").exists()
    assert main([str(tmp_path / "no.json"), "--out", str(tmp_path / "b.jsonl")]) == 1
    assert "no.json: cannot be read" in capsys.readouterr().err
