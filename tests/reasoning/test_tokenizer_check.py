"""A tokenizer that does not fit the wording is refused before anything is trained."""

from __future__ import annotations

import copy

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.tokenizer_check import check_tokenizer

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\n"
    + SYSTEM
    + "<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def chat() -> PreTrainedTokenizerFast:
    names = ["<pad>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.chat_template = CHATML
    return tokenizer


@pytest.mark.parametrize("mode", ["cot", "pot"])
def test_the_wording_is_what_the_models_own_template_renders(chat: PreTrainedTokenizerFast, mode: str) -> None:
    check_tokenizer(chat, "smollm2", mode, "the model")


@pytest.mark.parametrize("template", ["miniature", "release"])
def test_a_wording_without_turns_asks_for_no_template(chat: PreTrainedTokenizerFast, template: str) -> None:
    plain = copy.deepcopy(chat)
    plain.chat_template = None
    check_tokenizer(plain, template, "cot", "the model")
    with pytest.raises(ConfigError, match=r"the model has no chat template.*prompts=release"):
        check_tokenizer(plain, "smollm2", "cot", "the model")


def test_another_familys_turns_are_refused(chat: PreTrainedTokenizerFast) -> None:
    other = copy.deepcopy(chat)
    other.chat_template = CHATML.replace("SmolLM", "Qwen")
    with pytest.raises(ConfigError, match="its own chat template says"):
        check_tokenizer(other, "smollm2", "cot", "the model")


def test_a_turn_must_end_where_generation_stops(chat: PreTrainedTokenizerFast) -> None:
    other = copy.deepcopy(chat)
    other.eos_token = "<|endoftext|>"
    with pytest.raises(ConfigError, match=r"generation stops at eos_token='<\|endoftext\|>'"):
        check_tokenizer(other, "smollm2", "cot", "the model")


def test_a_tokenizer_that_loses_indentation_is_refused(chat: PreTrainedTokenizerFast) -> None:
    names = {"<unk>": 0, "<eos>": 1}
    backend = Tokenizer(models.WordLevel(vocab=names, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    lossy = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<eos>")
    with pytest.raises(ConfigError, match="programs and boxed answers would be lost"):
        check_tokenizer(lossy, "release", "pot", "the model")


def test_targets_of_a_chat_start_where_the_turn_does() -> None:
    assert formats.cot_target(" 2 + 3 = 5 ", "smollm2") == "2 + 3 = 5"
    assert formats.pot_target("print(5)\n", "smollm2") == "```python\nprint(5)\n```"
    assert formats.program_of(formats.pot_target("print(5)", "smollm2"), "smollm2") == "print(5)"
    assert formats.cot_target("5", "release") == " 5" and formats.pot_target("5", "miniature") == "\n5"
