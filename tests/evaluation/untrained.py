"""Models that were never trained, for tests of how they are asked and graded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def untrained(
    seed: int, hidden: int = 32, layers: int = 2, context: int = 256
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A model of two heads with random weights, and a tokenizer of a few hundred tokens for it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from dsm_repro.miniature.tokenizer import train_on

    tokenizer = train_on(iter(["Find the gcd of 12 and 8. Answer: \\boxed{4} print(x)"] * 10), 270)
    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=True,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(shape), tokenizer
