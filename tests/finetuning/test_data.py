"""Examples: what is learnt, from whom, and that arms see the same questions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.finetuning.data import IGNORED, examples, fitting, modes_of, pack, tokenize
from dsm_repro.miniature.problems import CATEGORIES, problems

PROBLEMS = problems("train", 160, 0)


@pytest.fixture(scope="module")
def tokenizer():
    from dsm_repro.miniature.tokenizer import train_on

    return train_on(iter([problem.question + problem.cot for problem in PROBLEMS]), 300)


@pytest.mark.parametrize("format_name", ["cot", "pot", "both"])
def test_only_the_target_is_learnt(tokenizer, format_name: str) -> None:
    made = examples(PROBLEMS, format_name, "miniature", 0.5, 0)
    for example, tokens in zip(made, tokenize(made, tokenizer), strict=True):
        learnt = [label for label in tokens.labels if label != IGNORED]
        assert learnt[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(learnt[:-1]) == example.target
        assert tokenizer.decode(tokens.ids[: tokens.prompt_length]) == example.prompt
        assert len(tokens.labels) == len(tokens.ids)


def test_both_has_as_many_examples_on_the_same_questions() -> None:
    made = {name: examples(PROBLEMS, name, "miniature", 0.5, 0) for name in ("cot", "pot", "both")}
    assert len({tuple(example.problem_id for example in arm) for arm in made.values()}) == 1
    assert Counter(example.mode for example in made["both"]) == {"cot": 80, "pot": 80}


def test_both_alternates_within_every_category() -> None:
    modes = modes_of(PROBLEMS, "both")
    for category in CATEGORIES:
        own = [mode for problem, mode in zip(PROBLEMS, modes, strict=True) if problem.category == category]
        assert Counter(own) == {"cot": 10, "pot": 10}


def test_the_style_belongs_to_the_problem_not_to_its_place() -> None:
    there = {e.problem_id: e.target for e in examples(PROBLEMS, "cot", "miniature", 0.5, 0)}
    back = {e.problem_id: e.target for e in examples(PROBLEMS[::-1], "cot", "miniature", 0.5, 0)}
    assert there == back


def test_a_problem_without_the_solution_is_named() -> None:
    with pytest.raises(DataError, match=f"{PROBLEMS[0].id}.*no 'program'"):
        examples([replace(PROBLEMS[0], program="")], "pot", "miniature", 0.5, 0)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sft\.format=prose"):
        modes_of(PROBLEMS, "prose")


def test_long_examples_are_left_out_not_cut(tokenizer) -> None:
    tokens = tokenize(examples(PROBLEMS, "cot", "miniature", 0.5, 0), tokenizer)
    limit = sorted(len(example.ids) for example in tokens)[80]
    kept = fitting(tokens, limit)
    assert 80 < len(kept) < 160
    assert all((len(tokens[i].ids) <= limit) == (i in kept) for i in range(160))


def test_packing_keeps_every_example_once_and_whole() -> None:
    lengths = [3, 5, 4, 8, 2, 2, 2]
    rows = pack([6, 5, 4, 3, 2, 1, 0], lengths, 8)
    assert rows == [(6, 5, 4), (3,), (2,), (1, 0)]
    assert sorted(i for row in rows for i in row) == list(range(7))
    assert all(sum(lengths[i] for i in row) <= 8 for row in rows)
