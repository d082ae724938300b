"""ReFT's lines become a boxed solution and a script that prints the answer, or say why not."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path

import pytest

from dsm_repro.reasoning.reft_programs import REASONS, as_script, same_number, solve
from dsm_repro.reasoning.solutions import main

DATA = os.environ.get("DSM_DATA")
ROSES = {
    "question": "A florist had 37 roses, sold 16 and picked 19 more. How many has she?",
    "answer": "40.0",
    "cot": "37 - 16 + 19 = 40 roses.\n\nTherefore, the answer is <40>.",
    "pot": 'def solution():\n    """A florist had 37 roses."""\n    start = 37\n    result = start - 16 + 19\n'
    "    return result",
}


def printed(script: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(script, {})
    return out.getvalue()


def test_both_solutions_end_in_the_answer() -> None:
    solved = solve(ROSES)
    assert solved.reason == ""
    assert solved.answer == "40"
    assert solved.cot == "37 - 16 + 19 = 40 roses.\nThe answer is $\\boxed{40}$."
    assert solved.program == "start = 37\nresult = start - 16 + 19\nprint(result)"
    assert printed(solved.program) == "40\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cot": "This question is a duplicate."}, "no final answer"),
        ({"cot": "Therefore, the answer is <41>."}, "another answer"),
        ({"pot": "print(40)"}, "no function"),
        ({"pot": "def solution():\n    if 1:\n        return 40\n    return 41"}, "no function"),
        ({"pot": "def solution(:"}, "no function"),
        ({"pot": "import os\nos.abort()\ndef solution():\n    return 40"}, "no function"),
    ],
)
def test_what_has_not_both_says_why(change: dict, reason: str) -> None:
    assert solve({**ROSES, **change}).reason == reason and reason in REASONS


def test_imports_stay() -> None:
    script = as_script("import math\ndef solution():\n    return math.sqrt(16)")
    assert script is not None and printed(script) == "4.0\n"


def test_numbers_are_compared_as_numbers() -> None:
    assert same_number("1,200", "1200.0") and same_number("0.33333", "0.33334")
    assert not same_number("1200", "1201") and not same_number("none", "0")


def test_files_are_mixed_and_wrong_programs_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {**ROSES, "question": "Another?", "pot": "def solution():\n    return 39"}
    (tmp_path / "reft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (ROSES, wrong)))
    gsm8k = [{"question": f"{n} and 1?", "answer": f"{n}+1 = <<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"} for n in range(8)]
    (tmp_path / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gsm8k))
    files = [str(tmp_path / name) for name in ("reft.jsonl", "gsm8k.jsonl")]
    rows = {}
    for seed in ("0", "0", "1"):
        out = tmp_path / "out.jsonl"
        assert main([*files, "--shuffle", seed, "--out", str(out)]) == 0
        rows.setdefault(seed, []).append([json.loads(line)["question"] for line in out.read_text().splitlines()])
    said = capsys.readouterr().out
    assert "1 of 2 problems have a program" in said and "1  wrong program" in said
    assert rows["0"][0] == rows["0"][1] != rows["1"][0]
    assert sorted(rows["0"][0]) == sorted(rows["1"][0]) and len(rows["0"][0]) == 9


@pytest.mark.skipif(DATA is None, reason="DSM_DATA names no folder with SVAMP")
def test_nearly_every_line_of_the_data_has_both() -> None:
    rows = [json.loads(line) for line in (Path(str(DATA)) / "svamp" / "train.jsonl").read_text().splitlines()]
    reasons = [solve(row).reason for row in rows]
    assert reasons.count("") / len(rows) > 0.99
