"""The sampler: the model's own distribution, deterministic per step, whatever rows leave the batch."""

from __future__ import annotations

import pytest
import torch
from rl_world import in_double, make_model_folder
from transformers import GenerationConfig

from dsm_repro.rl import rollouts as r
from dsm_repro.rl.batch import completion_logps
from dsm_repro.training.models import load_model

PROMPTS = [[40, 41, 42, 43, 44, 45], [50], [60, 61, 62], [70, 71, 72, 73]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return in_double(load_model(make_model_folder(tmp_path_factory.mktemp("m") / "model"), "float32", "cpu"))


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


def test_rows_that_leave_the_batch_do_not_change_the_others(model, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling, eos = r.Sampling(30, 1.0, 0.95), list(range(1, 25))
    compacted = sample(model, sampling, eos)
    monkeypatch.setattr(r, "COMPACT_BELOW", 0.0)
    whole = sample(model, sampling, eos)
    assert torch.equal(compacted.batch.completion_ids, whole.batch.completion_ids)
    assert torch.equal(compacted.truncated, whole.truncated)


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
