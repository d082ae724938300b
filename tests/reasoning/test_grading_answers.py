"""The gold answers of MATH and GSM8K: each is right for itself, and for its neighbour only where they are equal."""

from __future__ import annotations

import json
import os
import re
import zlib
from pathlib import Path

import pytest

from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning.grading import Grader

pytestmark = pytest.mark.skipif("DSM_DATA" not in os.environ, reason="DSM_DATA names no folder with math/ and gsm8k/")

#: neighbours that only a parser can tell apart, of which one in this many is graded here; all in benchmarks/grading.py
PARSED_SAMPLE = 8

#: neighbours whose texts differ and that are called equal: docs/grading.md gives the reasons
EQUAL_NEIGHBOURS = {
    ("8", "K=8"),
    (r"25\%", "25"),
    (r"7\%", "7"),
    ("120", r"120^\circ"),
    (r"120^\circ", "120"),
    (r"21\text{ dogs}", "21"),
    (r"18 \text{ degrees}", "18"),
    (r"\frac{3}{4}", r"\frac34"),
}


def lines(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (Path(os.environ["DSM_DATA"]) / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def math() -> list[str]:
    return [line["answer"] for line in lines("math/answers.jsonl")]


def respelled(answer: str) -> str:
    """Another way to write the same: display fractions, large brackets, spaces, delimiters, a full stop."""
    answer = re.sub(r"\\[dt]?frac(?![a-z])", r"\\dfrac", answer)
    if "+" in answer or not re.search(r"\d(?:,\s*\\!|,|\{,\})\s*\d{3}", answer):
        answer = re.sub(r"\s*(?<!\\)([+,=])\s*", r" \1  ", answer)
    if "left" not in answer and answer.count("(") == answer.count(")"):
        answer = answer.replace("(", r"\left(").replace(")", r"\right)")
    return f"${answer}$."


def test_math_against_itself_in_another_spelling(math: list[str]) -> None:
    assert len(math) == 12_500
    with Grader(GraderConfig()) as grader:
        verdicts = grader.grade_many([(respelled(answer), answer) for answer in math])
        assert grader.workers_started == 0
    wrong = [answer for answer, verdict in zip(math, verdicts, strict=True) if not verdict.correct]
    # Two gold answers of the file are blank.
    assert wrong == ["", ""]


@pytest.mark.parametrize("name", ["math_verify", "deepseek", "minerva", "hendrycks"])
def test_math_against_itself(math: list[str], name: str) -> None:
    with Grader(GraderConfig(name=name)) as grader:
        verdicts = grader.grade_many([(answer, answer) for answer in math])
    assert [answer for answer, verdict in zip(math, verdicts, strict=True) if not verdict.correct] == ["", ""]


def test_math_against_its_neighbour(math: list[str], grader: Grader) -> None:
    pairs = [pair for pair in zip(math, math[1:] + math[:1], strict=True) if pair[0] != pair[1] and all(pair)]
    cheap = [(pair, grader._cheap(*pair)) for pair in pairs]
    parsed = [pair for pair, verdict in cheap if verdict is None]
    sample = [pair for pair in parsed if zlib.crc32(repr(pair).encode()) % PARSED_SAMPLE == 0]
    # 12,404 with the four pairs of the two blank answers, which are not graded
    assert (len(pairs), len(parsed)) == (12_400, 124)
    right = {pair for pair, verdict in cheap if verdict is not None and verdict.correct}
    assert right == EQUAL_NEIGHBOURS
    for pair in sample:
        assert grader.grade(*pair).status == "incorrect", pair


def test_gsm8k_against_itself_and_its_neighbour() -> None:
    golds = [
        line["answer"].rsplit("#### ", 1)[1] for part in ("train", "test") for line in lines(f"gsm8k/{part}.jsonl")
    ]
    assert len(golds) == 8_792
    with Grader(GraderConfig()) as grader:
        assert all(verdict.correct for verdict in grader.grade_many([(f"${gold}.00$", gold) for gold in golds]))
        pairs = list(zip(golds, golds[1:] + golds[:1], strict=True))
        verdicts = grader.grade_many(pairs)
        assert grader.workers_started == 0
    for (a, b), verdict in zip(pairs, verdicts, strict=True):
        assert verdict.correct == (a.replace(",", "") == b.replace(",", "")), (a, b)
