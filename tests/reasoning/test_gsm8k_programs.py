"""GSM8K's solutions become programs that print the answer, or say why not."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from dsm_repro.config.training_schema import ProblemsConfig
from dsm_repro.reasoning.gsm8k_programs import REASONS, convert
from dsm_repro.reasoning.problemset import load_problems
from dsm_repro.reasoning.solutions import main

DATA = os.environ.get("DSM_DATA")

NATALIA = (
    "Natalia sold clips to 48 of her friends in April, and half as many in May. How many altogether?",
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72 clips altogether.\n#### 72",
)


def printed(program: str) -> str:
    # programs of ours alone: they are made of numbers and operators
    with redirect_stdout(io.StringIO()) as out:
        exec(program, {})
    return out.getvalue()


def test_annotations_are_code_sentences_are_comments_and_results_are_variables() -> None:
    assert convert(*NATALIA).program == (
        "# Natalia sold 48/2 = 24 clips in May.\n"
        "step1 = 48 / 2\n"
        "# Natalia sold 48+24 = 72 clips altogether.\n"
        "step2 = 48 + step1\n"
        "print(round(step2))"
    )


@pytest.mark.parametrize(
    ("solution", "line"),
    [
        ("He has 3+4 = <<3+4=7>>7.\nSo 7 * 2 = 14.\n#### 14", "step2 = step1 * 2"),
        ("Shells:80(.95)=76\nOpened Shells:76(.75)=57\n#### 57", "step2 = step1 * 0.75"),
        ("It is 2 hours * 60 minutes/hour + 5 minutes = 125 minutes.\n#### 125", "step1 = 2 * 60 + 5"),
        ("He eats 21*16 = <<336=336>>336\n#### 336", "step1 = 21 * 16"),
        ("They pay $1,200 x 3 = $3,600\n#### 3,600", "step1 = 1200 * 3"),
        ("The chance is 40% + 20% = 60%\n#### 60", "step1 = 40 + 20"),
        ("It rose by 50% * 30 = 15\n#### 15", "step1 = 50 / 100 * 30"),
        ("They need 2 - 1/2 = 1 1/2 cups, 14 * 1 1/2 = 21 in all\n#### 21", "step2 = 14 * (1 + 1 / 2)"),
        ("She buys 7/2 = <<7/2=4>>4 boxes\n#### 4", "step1 = round(7 / 2)"),
        ("She buys 13/4 = <<13/4=4>>4 boxes\n#### 4", "step1 = math.ceil(13 / 4)"),
        ("He fills 15/4 = <<15/4=3>>3 boxes\n#### 3", "step1 = math.floor(15 / 4)"),
        ("A third is 10/3 = <<10/3=3.33>>3.33, thrice 3.33*3 = <<3.33*3=9.99>>10\n#### 10", None),
        ("It costs 3*2.5 = <<3*2.5=7.5>>7.5\n#### 7.5", "print(round(step1, 1))"),
        ("First 2*4=<<2*4=8>>8, then 8-5=<<8-5=3>>3; the larger is 8.\n#### 8", "print(round(step1))"),
    ],
)
def test_equations_are_read_as_they_are_written(solution: str, line: str | None) -> None:
    converted = convert("How many?", solution)
    if line is None:
        # 9.99 is not 10, whether it is rounded on the way or not
        assert converted.reason in REASONS
        return
    assert line in converted.program.splitlines()
    assert float(printed(converted.program)) == float(solution.rpartition("#### ")[2].replace(",", ""))


def test_a_result_that_is_rounded_on_the_way_stays_exact_unless_the_answer_needs_it() -> None:
    exact = "Each gets 10/3 = <<10/3=3.33>>3.33\nThree get 3.33*3 = <<3.33*3=10>>10\n#### 10"
    assert "step1 = 10 / 3\n" in convert("How many?", exact).program
    needed = "Each gets 10/3 = <<10/3=3.33>>3.33\nThree get 3.33*3 = <<3.33*3=9.99>>9.99\n#### 9.99"
    assert "step1 = round(10 / 3, 2)\n" in convert("How many?", needed).program


def test_a_number_that_the_question_states_is_the_question_s() -> None:
    solution = "2+3 = <<2+3=5>>5, and 5*5 = <<5*5=25>>25\n#### 25"
    assert "step2 = step1 * step1" in convert("How many?", solution).program
    assert "step2 = 5 * 5" in convert("Each of the five has 5. How many?", solution).program


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("Let x be the price.\n2x + 6 = 30\nx = <<12=12>>12\n#### 12", "algebra"),
        ("It is the least common multiple.\n#### 12", "no equation"),
        ("10/4 = <<10/4=2.5>>2.5, so he must buy three.\n#### 3", "unwritten step"),
        ("He has 100 -6 60 = 40 left.\n#### 40", "unread equation"),
        ("2+2 = <<2+2=5>>5\n#### 5", "unread equation"),
        ("2+2 = <<2+2=4>>4\n#### four", "no result"),
        ("2+2 = <<2+2=4>>4", "no result"),
        ("x = <<__import__('os').getpid()=7>>7\n#### 7", "algebra"),
        ("9**9**9 = <<9**9**9=7>>7 (((((((\n#### 7", "unread equation"),
        ("1/0 = <<1/0=7>>7\n#### 7", "unread equation"),
    ],
)
def test_what_has_no_program_has_a_reason(solution: str, reason: str) -> None:
    converted = convert("How many?", solution)
    assert (converted.program, converted.reason) == ("", reason)


def test_the_file_it_writes_is_training_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [NATALIA, ("How many?", "Let x be it.\nx+1=2\n#### 1")]
    source, out = tmp_path / "train.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    assert main([str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 of 2 problems have a program (50.00%)" in said and "1  algebra" in said
    (original, _) = load_problems(ProblemsConfig("jsonl", str(source), ""), "train", None, 0)
    (problem,) = load_problems(ProblemsConfig("jsonl", str(out), ""), "train", None, 0)
    assert (problem.id, problem.question, problem.answer) == (original.id, original.question, "72")
    assert problem.cot == original.cot
    assert printed(problem.program) == "72\n"
    assert main([str(tmp_path / "gone"), "--out", str(out)]) == 1
    assert main([str(source), "--out", str(tmp_path / "gone" / "out")]) == 1
    assert capsys.readouterr().err.count("error: ") == 2


@pytest.mark.skipif(DATA is None, reason="DSM_DATA names no folder with GSM8K")
@pytest.mark.parametrize(("split", "every"), [("train", 8), ("test", 1)])
def test_at_least_96_percent_of_gsm8k_has_a_program_that_is_right(split: str, every: int) -> None:
    lines = (Path(str(DATA)) / "gsm8k" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()[::every]
    right = 0
    for row in map(json.loads, lines):
        converted = convert(row["question"], row["answer"])
        assert bool(converted.program) != (converted.reason in REASONS)
        if converted.program:
            gold = row["answer"].rpartition("####")[2].replace(",", "")
            assert float(printed(converted.program)) == float(gold), row["question"]
            right += 1
    assert right / len(lines) >= 0.96
