"""The shared tokenizer: digits apart, any text, two special tokens, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.tokenizer import train_on, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(512)


def test_every_digit_is_a_token_of_its_own(tokenizer) -> None:
    pieces = [tokenizer.decode([i]) for i in tokenizer("x = 12*345 + 07")["input_ids"]]
    assert all(len(piece.strip()) == 1 for piece in pieces if any(c.isdigit() for c in piece))
    assert [piece for piece in pieces if piece.isdigit()] == list("1234507")


@pytest.mark.parametrize(
    "text", ["", " two  spaces\n\n\ttab ", "é ∑ 数学 🙂", "\\boxed{1/2}", "def f(x):\n    return x"]
)
def test_any_text_comes_back(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_nothing_is_added_to_a_text(tokenizer) -> None:
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert tokenizer.bos_token_id is None
    assert tokenizer.eos_token_id not in tokenizer("1 + 1 = 2")["input_ids"]


def test_mathematics_of_the_miniature_is_short(tokenizer) -> None:
    solutions = [problem.cot for problem in problems("train", 80, 7)]
    tokens = sum(len(ids) for ids in tokenizer(solutions)["input_ids"])
    assert tokens < 0.9 * sum(map(len, solutions))
    assert len(tokenizer("\\boxed{")["input_ids"]) <= 3


def test_the_same_bytes_each_time(tokenizer, tmp_path: Path) -> None:
    again = train_tokenizer(512)
    for folder, one in (("a", tokenizer), ("b", again)):
        one.save_pretrained(tmp_path / folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tiny\.vocab_size=200: .* 258 or more"):
        train_on(iter([]), 200)
