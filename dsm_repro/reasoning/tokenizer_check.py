"""Does a model's tokenizer fit the wording that it will be asked in? Asked before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning import formats

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: a stand-in for a question
QUESTION = "How many are 2 and 3?"
#: a stand-in for a turn
TURN = "what the user says"
#: what answers are made of: indentation, a fence, braces behind a backslash
ANSWER = "def add(a, b):\n    return a + b\n\n```python\nprint(add(2, 3))\n```\nThe answer is $\\boxed{5}$."


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, template: str, mode: str, where: str) -> None:
    """Compare the tokenizer with the wording ``template`` of ``mode``; ``where`` names the model.

    Raises:
        ConfigError: a chat wording that is not what the tokenizer's own chat template renders, a turn that ends in
            another token than the one that generation stops at, or a tokenizer that does not give back what
            answers are made of.
    """
    kept = tokenizer.decode(tokenizer(ANSWER, add_special_tokens=False)["input_ids"])
    if kept.strip() != ANSWER.strip():
        raise ConfigError(
            f"{where}: its tokenizer turns {ANSWER!r} into {kept!r}, so programs and boxed answers would be lost. "
            "Use the model's own tokenizer, with clean_up_tokenization_spaces=false."
        )
    if formats.is_chat(template):
        _check_chat(tokenizer, template, mode, where)


def _check_chat(tokenizer: PreTrainedTokenizerBase, template: str, mode: str, where: str) -> None:
    asked = formats.prompt(QUESTION, mode, template)
    if not tokenizer.chat_template:
        raise ConfigError(
            f"prompts={template}: {where} has no chat template, so it was not trained on turns. Set prompts=release."
        )
    turn = {"role": "user", "content": TURN}
    rendered = str(tokenizer.apply_chat_template([turn], tokenize=False, add_generation_prompt=True))
    before, _, after = rendered.partition(TURN)
    if not (asked.startswith(f"{before}{QUESTION}") and asked.endswith(after)):
        raise ConfigError(
            f"prompts={template}: {where} would be asked {asked!r}, and its own chat template says {rendered!r}. "
            "Choose the wording of its family, or prompts=release."
        )
    answered = str(tokenizer.apply_chat_template([turn, {"role": "assistant", "content": "5"}], tokenize=False))
    if f"5{tokenizer.eos_token}" not in answered:
        raise ConfigError(
            f"{where}: its turns end in {answered[answered.rindex('5') + 1 :]!r}, but generation stops at eos_token="
            f"{tokenizer.eos_token!r}. Set eos_token in its tokenizer_config.json to the token that ends a turn."
        )
