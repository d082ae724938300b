"""What a benchmark is: its texts as they come in files, its name, and its id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.reasoning.benchmarks import benchmark_files, benchmark_identity, benchmark_ids, benchmark_texts


def write(path: Path, *lines: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


def config(test_path: str, *benchmarks: str) -> Config:
    made = Config()
    made.problems.source, made.problems.test_path = "jsonl", test_path
    made.corpus.decontamination.benchmarks = list(benchmarks)
    return made


def test_texts_of_the_formats_that_benchmarks_come_in(tmp_path: Path) -> None:
    gsm = write(
        tmp_path / "gsm" / "test.jsonl",
        {"question": "How many?", "answer": "It is 2+2=<<2+2=4>>4 in all.\n#### 4"},
        {"question": "Which?", "answer": "7"},
    )
    maths = write(tmp_path / "math" / "test.jsonl", {"id": "alg/1", "problem": "Solve.", "solution": "So $x=1$."})
    plain = write(tmp_path / "plain.v2.jsonl", {"text": "A text."}, "")
    found = [(item.benchmark, item.id, item.part, item.text) for item in benchmark_texts(config(gsm, maths, plain))]
    assert found == [
        ("gsm/test", "line 1", "question", "How many?"),
        ("gsm/test", "line 1", "solution", "It is 2+2=4 in all."),
        ("gsm/test", "line 2", "question", "Which?"),
        ("gsm/test", "line 2", "solution", "7"),
        ("math/test", "alg/1", "question", "Solve."),
        ("math/test", "alg/1", "solution", "So $x=1$."),
        (f"{tmp_path.name}/plain.v2", "line 1", "question", "A text."),
    ]
    assert [str(path) for path in benchmark_files(config(gsm, maths, gsm))] == [gsm, maths]


def test_whole_file_is_checked_whatever_part_of_it_is_evaluated(tmp_path: Path) -> None:
    made = config(write(tmp_path / "b" / "test.jsonl", *({"question": f"q {n}", "answer": "1"} for n in range(5))))
    made.evaluation.problems = 2
    assert sum(item.part == "question" for item in benchmark_texts(made)) == 5


def test_id_names_the_content_and_not_the_place(tmp_path: Path) -> None:
    line = {"question": "How many words has this question?", "answer": "6"}
    first, moved = (write(tmp_path / place / "b" / "test.jsonl", line) for place in ("one", "two"))
    other = write(tmp_path / "three" / "b" / "test.jsonl", line | {"question": "Another?"})
    assert benchmark_ids(config(first)) == benchmark_ids(config(moved)) != benchmark_ids(config(other))
    assert benchmark_identity(config(first)) == ["b/test"]
    with pytest.raises(ConfigError, match="two different benchmarks are called b/test"):
        benchmark_ids(config(first, other))
    assert len(benchmark_ids(config(first, moved))) == 1


def test_the_miniatures_id_tells_its_problems() -> None:
    ids, identities = set(), set()
    for count, seed in ((40, 0), (41, 0), (40, 1)):
        made = Config()
        made.evaluation.problems, made.evaluation.problems_seed = count, seed
        ids.add(tuple(benchmark_ids(made)))
        identities.add(tuple(benchmark_identity(made)))
        assert all(item.part == "question" for item in benchmark_texts(made))
        assert benchmark_files(made) == ()
    assert len(ids) == len(identities) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 2: not a JSON line"),
        ('{"answer": "1"}', "line 2: no text under question or problem or text .it has: answer"),
        ('["q"]', "line 2: no text"),
        ('{"question": " "}', "line 2: no text"),
        ("\x00", "line 2: not a JSON line"),
    ],
)
def test_bad_line_is_named_before_any_work(tmp_path: Path, content: str, said: str) -> None:
    good = {"question": "Good?", "answer": "1"}
    path = write(tmp_path / "b.jsonl", good, content)
    with pytest.raises(DataError, match=said):
        benchmark_files(config(write(tmp_path / "t.jsonl", good), path))


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    good = write(tmp_path / "t.jsonl", {"question": "Good?", "answer": "1"})
    with pytest.raises(DataError, match=r"corpus\.decontamination\.benchmarks=.*gone\.jsonl: cannot be read"):
        benchmark_files(config(good, str(tmp_path / "gone.jsonl")))
    with pytest.raises(DataError, match=r"problems\.test_path=.*gone"):
        benchmark_files(config(str(tmp_path / "gone.jsonl")))
    with pytest.raises(DataError, match="the file has no text"):
        benchmark_files(config(good, write(tmp_path / "e.jsonl")))
    # names alone need no file, so that a plan can be made without them
    assert benchmark_identity(config("nowhere/x.jsonl")) == ["nowhere/x"]
