"""The truth of the miniature: solutions are right, programs print the answer, splits cannot meet."""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature.problems import CATEGORIES, HASTY_CATEGORIES, Problem, canonical, is_terse, problems, split_of

STEP = re.compile(r"(\d+)([-+*/%])(\d+)=(\d+)\Z")
OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if a % b == 0 else None,
    "%": lambda a, b: a % b,
}


@pytest.fixture(scope="module")
def train() -> list[Problem]:
    return problems("train", 1_600, seed=0)


@pytest.fixture(scope="module")
def test_set() -> list[Problem]:
    return problems("test", 800, seed=0)


def test_every_step_of_every_solution_is_true_and_ends_in_the_answer(train: list[Problem]) -> None:
    for problem in train:
        *steps, boxed = problem.cot.split(" ")
        assert boxed == f"\\boxed{{{problem.answer}}}" == problem.cot_terse
        for step in steps:
            a, operator, b, result = STEP.match(step.rstrip(".")).groups()  # type: ignore[union-attr]
            assert OPERATIONS[operator](int(a), int(b)) == int(result), problem


def test_the_last_step_gives_the_answer_or_euclid_ends(train: list[Problem]) -> None:
    for problem in train:
        last = problem.cot.split(" ")[-2].rstrip(".")
        result = last.split("=")[1]
        divisor = re.split(r"[%=]", last)[1]
        assert problem.answer == (divisor if problem.category == "Number Theory" else result)


def test_programs_print_the_answer(train: list[Problem]) -> None:
    for problem in train[:400]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(problem.program, {})
        assert printed.getvalue().strip() == problem.answer


def test_train_and_test_are_disjoint_whatever_the_seeds() -> None:
    seen = {canonical(p.question) for seed in range(3) for p in problems("train", 800, seed)}
    tested = {canonical(p.question) for seed in range(3) for p in problems("test", 400, seed)}
    assert not seen & tested
    assert all(split_of(question) == "test" for question in tested)
    assert split_of("  Compute 1 +  2.") == split_of("compute 1 + 2.")


def test_a_list_has_no_repeats_covers_all_categories_and_is_the_same_again(test_set: list[Problem]) -> None:
    assert len({p.id for p in test_set}) == len(test_set)
    assert set(Counter(p.category for p in test_set).values()) == {len(test_set) // len(CATEGORIES)}
    assert problems("test", 800, seed=0) == test_set
    assert problems("test", 80, seed=1) != test_set[:80]


def test_few_questions_share_ten_words_with_the_other_split(train: list[Problem], test_set: list[Problem]) -> None:
    """Else decontamination at 10-grams would throw away what only shares a family's wording."""

    def grams(question: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", question.lower())
        return {tuple(words[i : i + 10]) for i in range(len(words) - 9)}

    tested = set().union(*(grams(p.question) for p in test_set))
    hits = sum(bool(grams(p.question) & tested) for p in train)
    # what is left are word problems that differ in the name alone
    assert hits / len(train) < 0.04


def test_hasty_categories_skip_steps_more_often(train: list[Problem]) -> None:
    hasty = [is_terse(p, 0.6, 0) for p in train if p.category in HASTY_CATEGORIES]
    careful = [is_terse(p, 0.6, 0) for p in train if p.category not in HASTY_CATEGORIES]
    assert 0.54 < sum(hasty) / len(hasty) < 0.66
    assert 0.15 < sum(careful) / len(careful) < 0.25
    assert not any(is_terse(p, 0.0, 0) for p in train)
    assert all(is_terse(p, 0.6, 0) for p in train if is_terse(p, 0.3, 0))


@pytest.mark.parametrize(("split", "count"), [("validation", 8), ("train", 200_000)])
def test_bad_requests_say_what_is_wrong(split: str, count: int) -> None:
    with pytest.raises(ConfigError, match=r"validation|no more new"):
        problems(split, count, 0)
