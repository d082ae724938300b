"""The miniature's tokenizer: byte-level BPE, every digit a token of its own.

One tokenizer serves all roles of a scale: it is trained on a fixed sample with a fixed seed, so two
arms that start from different text still share it and their token counts can be compared. Templated
mathematics makes up most of the sample, so that questions and solutions are short.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD_TOKEN = "<pad>"
EOS_TOKEN = "<eos>"
SPECIAL_TOKENS = (PAD_TOKEN, EOS_TOKEN)
#: every byte has a token, so any text can be written
MIN_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)

#: the sample: its own seed, so that no stage's seed changes the tokenizer
SAMPLE_SEED = 20_240_205
#: characters of each kind of text of ``miniature.text``
SAMPLE_CHARACTERS = {"code": 60_000, "prose": 60_000}
#: problems whose question, solution and program are in the sample (about 200 characters each)
SAMPLE_PROBLEMS = 2_000


def train_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the miniature's own text; the same bytes for the same ``vocab_size``.

    ``<pad>`` is token 0, ``<eos>`` token 1; neither is added by itself when text is encoded.

    Raises:
        ConfigError: ``vocab_size`` is less than the bytes and the special tokens.
    """
    return train_on(sample(), vocab_size)


def train_on(texts: Iterator[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer of at most ``vocab_size`` tokens on ``texts``. Raises as :func:`train_tokenizer`."""
    if vocab_size < MIN_VOCAB_SIZE:
        raise ConfigError(
            f"tiny.vocab_size={vocab_size}: a byte-level tokenizer needs 256 bytes and {len(SPECIAL_TOKENS)} special "
            f"tokens. Set vocab_size to {MIN_VOCAB_SIZE} or more."
        )
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        # sorted: the alphabet comes as a set, and its order would decide the ids
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        eos_token=EOS_TOKEN,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def sample() -> Iterator[str]:
    """Yield the texts that the tokenizer is trained on."""
    from dsm_repro.miniature.problems import problems
    from dsm_repro.miniature.text import documents

    for problem in problems("train", SAMPLE_PROBLEMS, SAMPLE_SEED):
        yield f"Question: {problem.question}\nAnswer: {problem.cot}"
        yield problem.program
    for kind, characters in SAMPLE_CHARACTERS.items():
        left = characters
        for _, text in documents(kind, SAMPLE_SEED):
            yield text[:left]
            left -= len(text)
            if left <= 0:
                break
