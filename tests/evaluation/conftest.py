"""One untrained model for the room's tests: making its tokenizer is the slow part."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from dsm_repro.miniature.tokenizer import train_on
    from dsm_repro.training.models import save_model

    folder = tmp_path_factory.mktemp("parent") / "model"
    tokenizer = train_on(iter(["Find the gcd of 12 and 8. Answer: \\boxed{4} print(x)"] * 10), 270)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, pad_token_id=0, eos_token_id=1,
        bos_token_id=None,
    )  # fmt: skip
    save_model(LlamaForCausalLM(shape), tokenizer, folder)
    return folder
