"""Rows of published data sets become problems, under the field names that those data sets have."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from dsm_repro.config.training_schema import ProblemsConfig
from dsm_repro.finetuning.data import examples, modes_of
from dsm_repro.reasoning.problemset import load_problems
from dsm_repro.reasoning.published import REASONS, main, row_of

GSM8K = {"question": "3 and 4?", "answer": "It is 3+4=<<3+4=7>>7.\n#### 7"}
MATH = {
    "problem": "What is $1/2+1/3$?",
    "solution": "It is $\\boxed{\\frac{5}{6}}$.",
    "type": "Prealgebra",
    "level": "Level 2",
}
WORDS = {"instruction": "What is 2 times 8?", "output": "2 * 8 = 16. The answer is 16", "source": "CoT/gsm_rft.json"}
PROGRAM = {"instruction": "What is 2 times 8?", "output": "a = 2\nprint(a * 8)", "source": "PoT/gsm.json"}
OPEN_MATH = {"problem": "Twice 5?", "generated_solution": "It is \\boxed{10}.", "expected_answer": "10"}


@pytest.mark.parametrize(
    ("values", "answer", "category", "level", "solution"),
    [
        (GSM8K, "7", "", 0, "It is 3+4=7.\nThe answer is $\\boxed{7}$."),
        (MATH, "\\frac{5}{6}", "Prealgebra", 2, MATH["solution"]),
        (WORDS, "16", "CoT/gsm_rft.json", 0, f"{WORDS['output']}\nThe answer is $\\boxed{{16}}$."),
        (OPEN_MATH, "10", "", 0, OPEN_MATH["generated_solution"]),
        ({"query": "Why?", "response": "So. The answer is: 3"}, "3", "", 0, None),
    ],
)
def test_words(values: dict, answer: str, category: str, level: int, solution: str | None) -> None:
    row = row_of(values)
    assert (row.reason, row.is_program) == ("", False)
    assert (row.answer, row.category, row.level) == (answer, category, level)
    assert solution is None or row.solution == solution


@pytest.mark.parametrize(
    ("output", "is_program"),
    [
        ("print(2 * 8)", True),
        ("```python\nprint(16)\n```", True),
        ("2 * 8", False),
        ("x", False),
        ("First:\n```python\nprint(16)\n```\nThe answer is 16", False),
        ("print(2 *", False),
    ],
)
def test_a_program_is_python_that_prints(output: str, is_program: bool) -> None:
    assert row_of({**PROGRAM, "output": output}).is_program == is_program


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"text": "no question here"}, "no question"),
        ({"problem": "Prove it.", "solution": "By 2 and 3."}, "no answer"),
    ],
)
def test_what_is_no_problem_says_why(values: dict, reason: str) -> None:
    assert row_of(values).reason == reason and reason in REASONS


def folder(path: Path, rows: list[dict], parquet: bool) -> str:
    path.mkdir()
    if parquet:
        datasets.Dataset.from_list(rows).to_parquet(str(path / "train-00000-of-00001.parquet"))
    else:
        (path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("parquet", [False, True])
def test_words_and_programs_of_one_data_set_are_trained_on_each_in_its_own_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parquet: bool
) -> None:
    fails = {**PROGRAM, "instruction": "Another?", "output": "print(1 / 0)"}
    name = folder(tmp_path / "data", [WORDS, PROGRAM, fails], parquet)
    out = tmp_path / "train.jsonl"
    assert main([name, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 of 3 rows kept, 1 with a program" in said and "1  program fails" in said
    problems = load_problems(ProblemsConfig(source="jsonl", train_path=str(out)), "train", None, 0)
    assert [problem.answer for problem in problems] == ["16", "16"]
    assert len({problem.id for problem in problems}) == 2
    assert modes_of(problems, "given") == ["cot", "pot"]
    made = examples(problems, "given", "release", 0.0, 0)
    assert made[0].target.endswith("\\boxed{16}$.") and "```python\na = 2" in made[1].target
    assert made[0].prompt != made[1].prompt


def test_a_solution_that_ends_in_another_answer_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {**OPEN_MATH, "problem": "Thrice 5?"}
    rows = [OPEN_MATH, {**wrong, "expected_answer": "15"}, {**wrong, "generated_solution": "print(5 * 3)"}]
    out = tmp_path / "out.jsonl"
    assert main([folder(tmp_path / "data", rows, parquet=False), "--out", str(out)]) == 0
    assert "2  another answer" in capsys.readouterr().out
    assert [json.loads(line)["question"] for line in out.read_text().splitlines()] == ["Twice 5?"]


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out.jsonl")]) == 1
    assert f"error: {tmp_path / 'nowhere'} (--name None, --split train" in capsys.readouterr().err
    assert main([folder(tmp_path / "data", [{"text": "a"}], parquet=False), "--out", str(tmp_path / "out.jsonl")]) == 1
    assert "not one of 1 rows is a problem" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()
