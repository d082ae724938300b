"""The sampler: the model's own distribution, deterministic per step, whatever rows leave the batch."""

from __future__ import annotations

import pytest
import torch
from rl_world import in_double, make_model_folder
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from dsm_repro.rl import llama
from dsm_repro.rl import rollouts as r
from dsm_repro.rl.batch import completion_logps
from dsm_repro.training import compaction
from dsm_repro.training.models import load_model

PROMPTS = [[40, 41, 42, 43, 44, 45], [50], [60, 61, 62], [70, 71, 72, 73]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return in_double(load_model(make_model_folder(tmp_path_factory.mktemp("m") / "model"), "float32", "cpu"))


@pytest.fixture(params=["lean", "modules"], autouse=True)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything holds for the decoder of small Llamas and for the general one."""
    if request.param == "modules":
        monkeypatch.setattr(llama, "supported", lambda model: False)
    return request.param


def sample(model, sampling: r.Sampling, eos: list[int], step: int = 0, group: int = 4, prompts=PROMPTS) -> r.Rollouts:
    return r.sample(model, prompts, group, sampling, eos, 0, r.step_generator(3, step))


def test_greedy_equals_generate(model) -> None:
    eos = list(range(1, 20))
    ours = sample(model, r.Sampling(24, 0.0, 1.0), eos, group=1).batch
    for row, prompt in enumerate(PROMPTS):
        config = GenerationConfig(do_sample=False, max_new_tokens=24, eos_token_id=eos, pad_token_id=0)
        theirs = model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), generation_config=config
        )
        length = int(ours.lengths[row])
        assert ours.completion_ids[row, :length].tolist() == theirs[0, len(prompt) :].tolist()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.3, 0.9)])
def test_log_probabilities_are_those_of_a_full_forward_pass(model, temperature: float, top_p: float) -> None:
    drawn = sample(model, r.Sampling(20, temperature, top_p), list(range(1, 30)))
    assert drawn.batch.lengths.unique().numel() > 1
    expected = completion_logps(model, drawn.batch, temperature)
    assert torch.allclose(drawn.logps, expected.detach(), atol=1e-9)
    assert drawn.logps[drawn.batch.completion_mask == 0].abs().max() == 0


SIZES = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1, "initializer_range": 0.2,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, {"num_key_value_heads": 2}, {"num_key_value_heads": 1, "head_dim": 12}, {"rope_parameters": LLAMA3}],
    ids=["plain", "grouped keys", "one key head of another size", "scaled rotary"],
)
def test_both_decoders_draw_the_same_with_the_same_log_probabilities(options, decoder: str, monkeypatch) -> None:
    if decoder == "modules":
        pytest.skip("compares the two")
    torch.manual_seed(4)
    model = in_double(LlamaForCausalLM(LlamaConfig(**{**SIZES, **options}))).eval()
    with torch.no_grad():  # norms of a model that was just made are all ones
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    assert llama.supported(model)
    prompts = [[number % 50 + 2 for number in prompt] for prompt in PROMPTS]
    sampling, eos = r.Sampling(30, 0.9, 0.95), list(range(1, 8))
    lean = sample(model, sampling, eos, prompts=prompts)
    monkeypatch.setattr(llama, "supported", lambda model: False)
    general = sample(model, sampling, eos, prompts=prompts)
    assert lean.batch.lengths.unique().numel() > 1
    assert torch.equal(lean.batch.completion_ids, general.batch.completion_ids)
    assert torch.equal(lean.truncated, general.truncated)
    assert torch.allclose(lean.logps, general.logps, rtol=0, atol=1e-12)


def test_bfloat16_products_draw_from_the_distribution_that_is_scored() -> None:
    """Sampled log-probabilities are as far from those of the scoring pass as the latter are from float32's."""
    torch.manual_seed(4)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    prompts = [[number % 50 + 2 for number in prompt] for prompt in PROMPTS]
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            drawn = sample(model, r.Sampling(20, 1.0, 1.0), [1], prompts=prompts)
            scored = completion_logps(model, drawn.batch, 1.0)
        exact = completion_logps(model, drawn.batch, 1.0)
    noise = (scored - exact).abs().mean()
    assert drawn.logps.dtype == torch.float32
    assert 0 < (drawn.logps - scored).abs().mean() < 2 * noise


def test_the_lean_decoder_is_for_models_that_it_knows(decoder: str) -> None:
    if decoder == "modules":
        pytest.skip("about the other")
    known = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    assert llama.supported(known)
    dynamic = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 2.0}
    for options in ({"attention_bias": True}, {"mlp_bias": True}, {"hidden_act": "gelu"}, {"rope_parameters": dynamic}):
        assert not llama.supported(LlamaForCausalLM(LlamaConfig(**{**SIZES, **options})))
    assert not llama.supported(Qwen2ForCausalLM(Qwen2Config(**SIZES)))
    assert not llama.supported(LlamaForCausalLM(LlamaConfig(**SIZES)).bfloat16())
    known.model.layers[1].mlp.up_proj = torch.nn.Sequential(known.model.layers[1].mlp.up_proj)
    assert not llama.supported(known)


def test_rows_that_leave_the_batch_do_not_change_the_others(model, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling, eos = r.Sampling(30, 1.0, 0.95), list(range(1, 25))
    compacted = sample(model, sampling, eos)
    monkeypatch.setattr(compaction, "COMPACT_BELOW", 0.0)
    whole = sample(model, sampling, eos)
    assert torch.equal(compacted.batch.completion_ids, whole.batch.completion_ids)
    assert torch.equal(compacted.truncated, whole.truncated)


@pytest.mark.parametrize("rows", [1, 3, 4, 6, 15, 100])
def test_how_many_rows_are_written_at_once_changes_nothing(model, rows: int) -> None:
    """Also where a part ends in the middle of a group; four prompts with four completions each."""
    eos = list(range(1, 25))
    whole = sample(model, r.Sampling(30, 1.0, 0.95), eos)
    parts = sample(model, r.Sampling(30, 1.0, 0.95, rows), eos)
    assert whole.batch.lengths.unique().numel() > 2
    assert torch.equal(whole.batch.completion_ids, parts.batch.completion_ids)
    assert torch.equal(whole.truncated, parts.truncated)
    assert torch.allclose(whole.logps, parts.logps, rtol=0, atol=1e-12)


def test_no_more_rows_are_held_than_allowed(model, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    write = r._Written.write

    def written(self, rows: torch.Tensor, *rest) -> None:
        held.append(len(rows))
        write(self, rows, *rest)

    monkeypatch.setattr(r._Written, "write", written)
    sample(model, r.Sampling(5, 1.0, 1.0, 6), [1])
    assert held == [6, 6, 4]


def test_a_step_repeats_itself_and_another_step_differs(model) -> None:
    sampling = r.Sampling(12, 1.0, 1.0)
    one, again, other = (sample(model, sampling, [1], step).batch.completion_ids for step in (5, 5, 6))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_a_completion_ends_with_its_end_token_or_is_truncated(model) -> None:
    eos = list(range(1, 25))
    drawn = sample(model, r.Sampling(10, 1.0, 1.0), eos)
    assert drawn.truncated.any() and not drawn.truncated.all()
    for ids, length, truncated in zip(
        drawn.batch.completion_ids.tolist(), drawn.batch.lengths.tolist(), drawn.truncated.tolist(), strict=True
    ):
        ends = [position for position, token in enumerate(ids[:length]) if token in eos]
        assert ends == ([] if truncated else [length - 1])
        assert all(token == 0 for token in ids[length:])


def test_draw_follows_the_distribution_and_the_nucleus() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().double()
    noise = torch.arange(0, 1, 1e-3, dtype=torch.float64)
    tokens, logps = r.draw(logits.expand(1000, 4), noise, r.Sampling(1, 1.0, 1.0))
    assert tokens.bincount(minlength=4).tolist() == pytest.approx([500, 300, 150, 50], abs=1)
    assert logps.exp()[tokens == 2].mean().item() == pytest.approx(0.15)
    # 0.5 + 0.3 reaches 0.8: two tokens are left, at 5/8 and 3/8; the log-probability stays the policy's
    tokens, logps = r.draw(logits.expand(1000, 4), noise, r.Sampling(1, 1.0, 0.8 - 1e-9))
    assert tokens.bincount(minlength=4).tolist() == pytest.approx([625, 375, 0, 0], abs=1)
    assert logps.exp()[tokens == 0].mean().item() == pytest.approx(0.5)
    # temperature 1/2 squares the odds
    tokens, _ = r.draw(logits[:2].expand(1000, 2), noise, r.Sampling(1, 0.5, 1.0))
    assert tokens.bincount().tolist() == pytest.approx([1000 * 25 / 34, 1000 * 9 / 34], abs=1)
