"""Where the steps of a solution end, in characters and in tokens."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning.steps import split, step_ends


def pieces(text: str, template: str) -> list[str]:
    ends = [0, *split(text, template)]
    return [text[a:b] for a, b in pairwise(ends)]


@cache
def byte_tokenizer(merges: bool = False) -> PreTrainedTokenizerFast:
    """One token per byte; with ``merges``, also tokens that reach over the end of a sentence."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE())
    # without the split into words a token may hold a full stop and the white space after it
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 2 + 12 * merges, special_tokens=["<pad>", "<eos>"], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(["4. 4. 4. 2+2=4. 4/2=2."] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")


def spelled(text: str, merges: bool = False) -> tuple[list[int], list[str]]:
    """Token ids with an end-of-text token, and what has been read when each step ends."""
    tokenizer = byte_tokenizer(merges)
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    ends = step_ends(ids, tokenizer, "miniature")
    return ends, [tokenizer.decode(ids[: end + 1], skip_special_tokens=True) for end in ends]


def test_the_miniatures_steps_are_sentences() -> None:
    assert pieces(" 33-9=24. 24/3=8. \\boxed{8}", "miniature") == [" 33-9=24.", " 24/3=8.", " \\boxed{8}"]
    assert pieces(" \\boxed{8}", "miniature") == [" \\boxed{8}"]


@pytest.mark.parametrize("text", ["7/2=3.5", "0.5+3.25=3.75. ", ".5", ""])
def test_a_point_inside_a_number_and_white_space_at_the_end_are_no_ends(text: str) -> None:
    assert pieces(text, "miniature") == [text]


def test_a_decimal_before_a_step_that_ends() -> None:
    assert pieces("7/2=3.5. 3.5*2=7.0. \\boxed{7}", "miniature") == ["7/2=3.5.", " 3.5*2=7.0.", " \\boxed{7}"]


def test_the_releases_steps_are_lines_that_are_not_empty() -> None:
    text = " First, 3.5 kg. Then 7.\n\n  \nSo 2.\nThe answer is $\\boxed{2}$.\n"
    assert pieces(text, "release") == [
        " First, 3.5 kg. Then 7.", "\n\n  \nSo 2.", "\nThe answer is $\\boxed{2}$.\n",
    ]  # fmt: skip


def test_an_unknown_wording_is_refused() -> None:
    with pytest.raises(ConfigError, match="prompts=latin"):
        split("a", "latin")


def test_the_last_step_ends_with_the_end_of_text_token() -> None:
    ends, read = spelled("2+2=4. 4/2=2. \\boxed{2}")
    assert ends == [6 - 1, 13 - 1, 24 - 1]
    assert read == ["2+2=4.", "2+2=4. 4/2=2.", "2+2=4. 4/2=2. \\boxed{2}"]


def test_characters_of_several_tokens_are_read_whole() -> None:
    ends, read = spelled("π≈3.14 €. 数学 5 😀. 结束")
    assert read == ["π≈3.14 €.", "π≈3.14 €. 数学 5 😀.", "π≈3.14 €. 数学 5 😀. 结束"]
    assert ends == sorted(set(ends))


def test_a_step_whose_last_character_is_cut_off_is_still_one_step() -> None:
    tokenizer = byte_tokenizer()
    whole = tokenizer("1. €")["input_ids"]
    for cut in range(3, len(whole) + 1):
        ends = step_ends(whole[:cut], tokenizer, "miniature")
        assert ends == ([cut - 1] if cut == 3 else [1, cut - 1])


def test_a_token_that_holds_the_end_of_one_step_and_the_start_of_the_next_ends_the_step() -> None:
    tokenizer = byte_tokenizer(True)
    assert any(". " in tokenizer.decode([i]) or "Ġ" in piece[1:] for piece, i in tokenizer.get_vocab().items())
    text = "2+2=4. 4/2=2. \\boxed{2}"
    ends, read = spelled(text, merges=True)
    assert len(ends) == 3 and read[-1] == text
    for step, seen in zip(["2+2=4.", "2+2=4. 4/2=2."], read, strict=False):
        assert seen.startswith(step)
        assert not step.startswith(seen) or seen == step
    # one token fewer does not hold the step
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    assert not tokenizer.decode(ids[: ends[0]]).startswith("2+2=4.")


def test_steps_that_end_in_one_token_are_one_step() -> None:
    tokenizer = byte_tokenizer(True)
    ids = tokenizer("4. 4. 4. \\boxed{4}")["input_ids"]
    ends = step_ends(ids, tokenizer, "miniature")
    assert ends == sorted(set(ends)) and ends[-1] == len(ids) - 1
    assert len(ends) <= 4


def test_a_completion_of_nothing_but_the_end_is_one_step() -> None:
    assert step_ends([1], byte_tokenizer(), "miniature") == [0]
    with pytest.raises(ValueError, match="no steps"):
        step_ends([], byte_tokenizer(), "miniature")
