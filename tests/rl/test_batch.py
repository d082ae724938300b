"""Scoring a batch of completions: the packed pass against the padded one and against the model's plain forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from rl_world import in_double
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from dsm_repro.rl import batch as scoring
from dsm_repro.rl import packed
from dsm_repro.rl.batch import Batch, completion_hidden, completion_logps

SIZES: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1,
    "initializer_range": 0.3, "attn_implementation": "sdpa",
}  # fmt: skip


def llama(**options: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return in_double(LlamaForCausalLM(LlamaConfig(**{**SIZES, **options}))).eval()


def make_batch(prompts: list[int], completions: list[int], owner: list[int], extra: int = 0) -> Batch:
    """Random tokens of these lengths; ``extra`` columns of padding on either side."""
    generator = torch.Generator().manual_seed(1)
    width, longest = max(prompts) + extra, max(completions) + extra
    prompt_mask = torch.tensor([[0] * (width - n) + [1] * n for n in prompts])
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in completions])
    ids = torch.randint(2, 40, (len(prompts), width), generator=generator)
    return Batch(
        ids * prompt_mask, prompt_mask, torch.tensor(owner),
        torch.randint(2, 40, mask.shape, generator=generator) * mask, mask, mask,
    )  # fmt: skip


BATCHES: dict[str, Callable[[], Batch]] = {
    "groups": lambda: make_batch([3, 7, 5], [4, 9, 1, 6, 2, 5], [0, 0, 1, 1, 2, 2]),
    "owners in any order": lambda: make_batch([3, 7, 5], [4, 9, 1, 6], [2, 0, 2, 1]),
    "a prompt without completions": lambda: make_batch([3, 7, 5], [4, 2], [2, 0]),
    "one token each": lambda: make_batch([2, 4], [1, 1, 1], [0, 1, 1]),
    "padding that nobody needs": lambda: make_batch([2, 4], [3, 5, 1], [0, 1, 1], extra=4),
}


@pytest.fixture(params=BATCHES)
def batch(request: pytest.FixtureRequest) -> Batch:
    return BATCHES[request.param]()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_key_value_heads": 4, "tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True, "head_dim": 6},
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
            }
        },
    ],
    ids=["grouped keys", "tied", "biases", "scaled rotary"],
)  # fmt: skip
def test_packed_states_and_gradients_equal_padded_ones(options: dict[str, Any], batch: Batch) -> None:
    model = llama(**options)
    assert packed.supported(model.base_model)
    weight = torch.randn(16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    results = []
    for states in (completion_hidden(model.base_model, batch), scoring._padded_hidden(model.base_model, batch)):
        states = states[batch.completion_mask.bool()]
        model.zero_grad()
        (states @ weight).sin().sum().backward()
        gradients = [p.grad.clone() for p in model.base_model.parameters()]
        results.append((states.detach(), gradients))
    (one, mine), (other, theirs) = results
    assert torch.allclose(one, other, rtol=0, atol=1e-12)
    assert max(float(g.abs().max()) for g in theirs) > 0.1
    assert all(torch.allclose(a, b, rtol=1e-11, atol=1e-12) for a, b in zip(mine, theirs, strict=True))


def test_log_probabilities_are_those_of_a_plain_forward_pass(batch: Batch) -> None:
    model = llama()
    logps = completion_logps(model, batch, 0.7)
    assert logps.shape == batch.completion_ids.shape
    for row, owner in enumerate(batch.owner):
        prompt = batch.prompt_ids[owner][batch.prompt_mask[owner].bool()]
        completion = batch.completion_ids[row][batch.completion_mask[row].bool()]
        logits = model(torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1] / 0.7
        expected = logits.log_softmax(-1).gather(-1, completion[:, None])[:, 0]
        assert torch.allclose(logps[row, : len(completion)], expected, rtol=0, atol=1e-12)
        assert not logps[row, len(completion) :].any()


def test_what_a_tool_wrote_is_read_and_not_scored() -> None:
    model, whole = llama(), BATCHES["groups"]()
    written = whole.completion_mask.clone()
    written[1, 2:5] = 0
    some, all_of_them = (completion_logps(model, b, 1.0) for b in (replace(whole, written=written), whole))
    assert torch.allclose(some, all_of_them * written, rtol=0, atol=1e-12) and not some[1, 2:5].any()


def test_a_model_in_bfloat16_products_agrees_with_the_padded_pass_to_its_rounding() -> None:
    model, batch = llama().float(), BATCHES["groups"]()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        one = completion_hidden(model.base_model, batch)
        other = scoring._padded_hidden(model.base_model, batch)
    mask = batch.completion_mask.bool()
    assert (one[mask] - other[mask]).abs().max() < 0.1 * other[mask].abs().max()


def test_other_models_go_through_their_own_forward_pass(batch: Batch) -> None:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SIZES)).eval()
    assert not packed.supported(model.base_model)
    prompt = batch.prompt_ids[batch.owner[0]][batch.prompt_mask[batch.owner[0]].bool()]
    completion = batch.completion_ids[0][batch.completion_mask[0].bool()]
    logits = model(torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1]
    expected = logits.log_softmax(-1).gather(-1, completion[:, None])[:, 0]
    assert torch.allclose(completion_logps(model, batch, 1.0)[0, : len(completion)], expected, atol=1e-5)


def test_what_the_packed_pass_does_not_know_is_left_to_the_model() -> None:
    dynamic = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 2.0}
    assert not packed.supported(llama(rope_parameters=dynamic).base_model)
    assert not packed.supported(llama(attn_implementation="eager").base_model)
    model = llama(attention_dropout=0.1).base_model
    assert packed.supported(model) and not packed.supported(model.train())
    model = llama().base_model.train()
    assert packed.supported(model)
    model.gradient_checkpointing_enable()
    assert not packed.supported(model)
