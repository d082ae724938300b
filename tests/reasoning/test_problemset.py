"""Problems from files: our own fields, GSM8K's own format, and lines that are neither."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import ProblemsConfig
from dsm_repro.reasoning.benchmarks import require_disjoint
from dsm_repro.reasoning.problemset import distinct, each_once, load_problems, problem_files

GSM8K = {
    "question": "Natalia sold clips to 48 friends in April and half as many in May. How many in all?",
    "answer": "She sold 48/2 = <<48/2=24>>24 clips in May.\nThat is 48+24 = <<48+24=72>>72 in all.\n#### 72",
}


def write(path: Path, *rows: object) -> ProblemsConfig:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return ProblemsConfig(source="jsonl", train_path=str(path), test_path=str(path))


def test_gsm8k_solutions_lose_their_annotations_and_box_their_result(tmp_path: Path) -> None:
    (problem,) = load_problems(write(tmp_path / "a.jsonl", GSM8K), "train", None, 0)
    assert problem.answer == "72"
    assert "<<" not in problem.cot and "####" not in problem.cot
    assert problem.cot.endswith("\\boxed{72}$.")
    assert problem.cot_terse == problem.cot


def test_own_fields_are_kept_and_count_limits(tmp_path: Path) -> None:
    row = {"id": 7, "question": "1+1?", "answer": 2, "category": "Algebra", "level": 3, "program": "print(2)"}
    config = write(tmp_path / "a.jsonl", row, "", GSM8K)
    first, second = load_problems(config, "test", None, 0)
    assert (first.id, first.answer, first.category, first.level, first.program) == ("7", "2", "Algebra", 3, "print(2)")
    assert second.answer == "72"
    assert len(load_problems(config, "test", 1, 0)) == 1
    assert problem_files(config, "test") == (tmp_path / "a.jsonl",)


def test_reinforcement_learning_may_have_questions_of_its_own(tmp_path: Path) -> None:
    config = write(tmp_path / "train.jsonl", GSM8K)
    assert load_problems(config, "rl", None, 0) == load_problems(config, "train", None, 0)
    config.rl_path = str(tmp_path / "rl.jsonl")
    assert problem_files(config, "rl", "train") == (tmp_path / "rl.jsonl", tmp_path / "train.jsonl")
    with pytest.raises(DataError, match=r"problems\.rl_path=.*rl\.jsonl: cannot be read"):
        load_problems(config, "rl", None, 0)
    (tmp_path / "rl.jsonl").write_text('{"question": "1+1?", "answer": 2}\n')
    assert [problem.question for problem in load_problems(config, "rl", None, 0)] == ["1+1?"]
    arm = Config(problems=config)
    config.test_path = str(tmp_path / "test.jsonl")
    (tmp_path / "test.jsonl").write_text('{"question": "1 + 1 ?", "answer": 2}\n')
    require_disjoint(arm)
    with pytest.raises(ConfigError, match=r"problems\.rl_path=.*: 1 of its questions are test questions"):
        require_disjoint(arm, "rl")


@pytest.mark.parametrize(
    "line",
    [
        '{"question": "no answer"}', "[1, 2]", "{broken", '"text"', '{"question": "1+1?", "answer": null}',
        '{"question": null, "answer": 2}', '{"question": "1+1?", "answer": " "}', '{"question": "1+1?", "answer": [2]}',
        '{"question": "1+1?", "answer": "It is 2.\\n####"}', '{"question": "1+1=2?", "answer": true}',
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_file_and_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl, line 2"):
        load_problems(write(tmp_path / "a.jsonl", GSM8K, line), "train", None, 0)


def test_a_null_answer_is_named_with_its_value(tmp_path: Path) -> None:
    row = {"question": "1+1?", "answer": None}
    with pytest.raises(DataError, match=r"line 1: .*answer=None: not a text or a number.*Correct the line"):
        load_problems(write(tmp_path / "a.jsonl", row), "train", None, 0)


def test_bytes_that_are_not_utf_8_are_named_with_key_file_and_line(tmp_path: Path) -> None:
    config = write(tmp_path / "a.jsonl", GSM8K)
    path = tmp_path / "a.jsonl"
    path.write_bytes(path.read_bytes() + '{"question": "Où ?", "answer": "1"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=r"problems\.test_path=.*a\.jsonl, line 2: not UTF-8 \(byte 0xf9 at 15\)"):
        load_problems(config, "test", None, 0)


def test_equal_ids_are_told_apart_and_no_other_id_is_touched(tmp_path: Path) -> None:
    rows = [{"id": name, "question": f"{n}?", "answer": n} for n, name in enumerate(("1", "1", "1/2", "2", "1"))]
    problems = load_problems(write(tmp_path / "a.jsonl", *rows), "test", None, 0)
    assert [problem.id for problem in distinct(problems)] == ["1", "1/2", "1/2/2", "2", "1/3"]
    assert distinct(problems[2:4]) == problems[2:4]


def test_each_question_once_is_by_question_where_two_have_one_id(tmp_path: Path) -> None:
    rows = [("1", "1+1?"), ("1", "2+2?"), ("2", "1+1 ?"), ("2", "1+1  ?")]
    config = write(tmp_path / "a.jsonl", *({"id": i, "question": q, "answer": 2} for i, q in rows))
    found = each_once(load_problems(config, "train", None, 0))
    assert [(problem.id, problem.question) for problem in found] == [("1", "1+1?"), ("1/2", "2+2?"), ("2", "1+1  ?")]


def test_a_missing_or_empty_file_and_an_unknown_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"problems\.train_path"):
        load_problems(ProblemsConfig(source="jsonl", train_path=str(tmp_path / "no")), "train", None, 0)
    with pytest.raises(DataError, match="empty"):
        load_problems(write(tmp_path / "a.jsonl"), "test", None, 0)
    with pytest.raises(ConfigError, match=r"problems\.source=hub"):
        load_problems(ProblemsConfig(source="hub"), "train", 1, 0)
    with pytest.raises(ConfigError, match=r"evaluation\.problems=null"):
        load_problems(ProblemsConfig(), "test", None, 0)


@pytest.mark.skipif("DSM_DATA" not in os.environ, reason="DSM_DATA names no folder with GSM8K")
@pytest.mark.parametrize(("split", "count"), [("train", 7_473), ("test", 1_319)])
def test_all_of_gsm8k_is_read(split: str, count: int) -> None:
    folder = Path(os.environ["DSM_DATA"]) / "gsm8k"
    config = ProblemsConfig("jsonl", str(folder / "train.jsonl"), str(folder / "test.jsonl"))
    problems = load_problems(config, split, None, 0)
    assert len(problems) == count
    assert len({problem.id for problem in problems}) == count
    assert all(float(problem.answer.replace(",", "")) is not None and "<<" not in problem.cot for problem in problems)
