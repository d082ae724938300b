"""The plan's memory against what torch keeps: activations, caches, optimiser and logits of small models, counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import (
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from dsm_repro.pipeline import memory
from dsm_repro.pipeline.cost import ModelShape
from dsm_repro.pipeline.memory import Held, MemoryParts, Placement
from dsm_repro.rl.batch import Batch, completion_hidden, completion_logps
from dsm_repro.rl.rollouts import Sampling, draw
from dsm_repro.training.models import model_shape

SHAPE = ModelShape(hidden_size=64, layers=3, intermediate_size=160, vocab_size=96, heads=4, kv_heads=4)
SHARED_KEYS = replace(SHAPE, kv_heads=2)


def build(shape: ModelShape) -> PreTrainedModel:
    made = {
        "hidden_size": shape.hidden_size, "num_hidden_layers": shape.layers, "vocab_size": shape.vocab_size,
        "intermediate_size": shape.intermediate_size, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "tie_word_embeddings": shape.tied, "attn_implementation": "sdpa",
    }  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**made)) if shape.biases else LlamaForCausalLM(LlamaConfig(**made))
    return model.train()


def saved_bytes(model: PreTrainedModel, run: Callable[[], Any]) -> int:
    """Bytes that autograd keeps of ``run``, each storage once; weights and their bfloat16 copies are not counted."""
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    weights = {tuple(p.shape) for p in model.parameters()} | {tuple(p.shape)[::-1] for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        copy = tensor.dtype == torch.bfloat16 and tuple(tensor.shape) in weights
        if storage.data_ptr() not in known and not copy:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    del result
    return sum(storage.nbytes() for storage in kept.values())


def products(dtype: str) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [SHAPE, SHARED_KEYS, replace(SHAPE, biases=True)], ids=["", "gqa", "biases"])
def test_activations_are_what_autograd_saves(shape: ModelShape, dtype: str) -> None:
    model, rows, length = build(shape), 3, 100
    ids = torch.randint(shape.vocab_size, (rows, length))

    def run() -> torch.Tensor:
        with products(dtype):
            return model.base_model(input_ids=ids, use_cache=False).last_hidden_state

    expected = memory.activations(Held(shape, dtype, "cpu"), rows * length, recompute=False)
    assert expected == pytest.approx(saved_bytes(model, run), rel=0.03)


def test_recomputed_activations_are_the_inputs_of_the_layers() -> None:
    model, tokens = build(SHAPE), 300
    model.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.randint(SHAPE.vocab_size, (3, 100))
    kept = saved_bytes(model, lambda: model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
    # while the backward pass is at a layer; and the input of the head, which is not run here
    besides = (memory.layer_bytes(SHAPE, "float32") + 4 * SHAPE.hidden_size) * tokens
    expected = memory.activations(Held(SHAPE, "float32", "cpu"), tokens, recompute=True)
    assert expected - besides == pytest.approx(kept, rel=0.05)


def completions(shape: ModelShape, rows: int, prompt: int, limit: int) -> Batch:
    prompts = torch.randint(shape.vocab_size, (rows, prompt))
    ids = torch.randint(shape.vocab_size, (rows, limit))
    return Batch(prompts, torch.ones_like(prompts), torch.arange(rows), ids, torch.ones_like(ids), torch.ones_like(ids))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [SHAPE, replace(SHARED_KEYS, biases=True)], ids=["packed", "padded"])
def test_activations_of_completions_behind_their_prompts(shape: ModelShape, dtype: str) -> None:
    model, rows, prompt, limit = build(shape), 6, 40, 64

    def run() -> torch.Tensor:
        with products(dtype):
            return completion_hidden(model.base_model, completions(shape, rows, prompt, limit))

    held, packed = Held(shape, dtype, "cpu"), not shape.biases
    expected = memory.activations(held, rows * (prompt + limit), False) + memory.prompt_keys(held, rows, prompt, packed)
    assert expected == pytest.approx(saved_bytes(model, run), rel=0.25)


def peak_bytes(run: Callable[[], Any]) -> int:
    """The most that ``run`` has allocated at once."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    held = most = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_logits_at_the_peak_of_each_head(dtype: str) -> None:
    """A vocabulary so large beside the model that little else counts."""
    shape = ModelShape(hidden_size=8, layers=1, intermediate_size=8, vocab_size=4_000, heads=2, kv_heads=2)
    model, tokens = build(shape), 256
    batch = completions(shape, 4, 2, 64)
    entries = tokens * shape.vocab_size

    def loss() -> None:
        with products(dtype):
            value = model(input_ids=batch.completion_ids, labels=batch.completion_ids, use_cache=False).loss
        value.backward()

    def scored() -> None:
        with products(dtype):
            value = completion_logps(model, batch, 1.0).sum()
        value.backward()

    def scoring() -> None:
        with torch.no_grad(), products(dtype):
            completion_logps(model, batch, 1.0)

    assert pytest.approx(peak_bytes(loss) / entries, rel=0.1) == memory.LOSS_HEAD
    assert pytest.approx(peak_bytes(scored) / entries, rel=0.1) == memory.SCORED_HEAD
    assert memory.SCORING_HEAD[dtype] == pytest.approx(peak_bytes(scoring) / entries, rel=0.1)


def test_logits_while_a_token_is_drawn() -> None:
    logits = torch.randn(64, 4_000)
    for top_p, expected in ((1.0, memory.DRAWN), (0.9, memory.DRAWN_NUCLEUS)):
        sampling = Sampling(8, 1.0, top_p)
        most = peak_bytes(lambda sampling=sampling: draw(logits, torch.rand(64, dtype=torch.float64), sampling))
        assert expected == pytest.approx(most / logits.numel(), rel=0.05)


@pytest.mark.parametrize("stored", ["float32", "bfloat16", "autocast"])
def test_cache_is_what_transformers_keeps(stored: str) -> None:
    model = build(SHARED_KEYS).eval()
    dtype = "float32" if stored == "float32" else "bfloat16"
    if stored == "bfloat16":
        model = model.to(torch.bfloat16)
    cache = DynamicCache(config=model.config)
    with torch.no_grad(), products("bfloat16" if stored == "autocast" else "float32"):
        model(input_ids=torch.zeros(2, 10, dtype=torch.long), past_key_values=cache, use_cache=True)
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    held = Held(SHARED_KEYS, dtype, "cpu", weight_bytes=2 if stored == "bfloat16" else 4)
    assert memory.key_value_bytes(held) * 20 == kept


def test_weights_gradients_and_moments_are_those_of_adam() -> None:
    model = build(SHAPE)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    states = sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.dim())
    held = Held(SHAPE, "float32", "cpu")
    assert memory.resident(held).moments == states
    assert memory.resident(held).weights == sum(parameter.nbytes for parameter in model.parameters())
    assert memory.gradients(held) > sum(parameter.grad.nbytes for parameter in model.parameters())
    assert model_shape(model).parameters == model.num_parameters()


def test_a_peak_is_what_stays_with_the_largest_phase() -> None:
    held = MemoryParts(weights=10, moments=20)
    found = memory.peak(held, {"small": MemoryParts(cache=5), "large": MemoryParts(weights=1, activations=9)})
    assert (found.phase, found.total, found.cache) == ("large", 40, 0)
    assert list(found.parts()) == ["moments", "weights", "activations"]


def test_shards_share_what_is_held_and_copies_do_not() -> None:
    alone, four = Held(SHAPE, "bfloat16", "cuda"), Held(SHAPE, "bfloat16", "cuda", Placement(4, "fsdp2"))
    assert memory.resident(four).total == memory.resident(alone).total / 4
    assert memory.gradients(four) < memory.gradients(alone)
    copied = Held(SHAPE, "bfloat16", "cuda", Placement(4))
    assert memory.resident(copied) == memory.resident(alone)
    # each process fills a bucket for every gradient that it exchanges
    assert memory.gradients(copied) - memory.gradients(alone) == 4 * SHAPE.parameters
    cut = memory.resident(Held(SHAPE, "bfloat16", "cuda", Placement(4, "zero1")))
    whole = memory.resident(alone)
    assert (cut.moments, cut.weights) == (whole.moments / 4, whole.weights)


def test_gathered_weights_are_float32_and_their_casts_are_kept_for_the_backward_pass() -> None:
    """FSDP2 under autocast; what is computed anew is cast anew."""
    four, single = (Held(SHAPE, dtype, "cuda", Placement(4, "fsdp2")) for dtype in ("bfloat16", "float32"))
    assert memory.copies(four) == memory.copies(single) + 2 * SHAPE.parameters
    assert memory.copies(single) < memory.copies(four, recompute=True) < memory.copies(four)
    zero3 = Held(SHAPE, "bfloat16", "cuda", Placement(4, "zero3"))
    assert 2 * memory.copies(zero3) == memory.copies(single)


def test_only_weights_that_learn_have_gradients_and_moments() -> None:
    adapters = Held(SHAPE, "bfloat16", "cuda", adapters=1_000, weight_bytes=2)
    assert memory.resident(adapters) == MemoryParts(weights=2 * SHAPE.parameters + 4_000, moments=8_000)
    assert memory.gradients(adapters) == 4_000
    assert memory.copies(adapters) == 0
