"""The FLOP formulas against torch's own counter, on the functions that do the work.

On a CPU the counter does not see the fused attention kernel at all (it counts nothing for it), so attention runs
through the plain one here, whose two products it counts: every (query, key) pair of the mask, masked or not. That is
what our formulas count too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from dsm_repro.config.model_schema import TuningConfig
from dsm_repro.pipeline.cost import ModelShape, forward_flops, generation_flops
from dsm_repro.rl import accounting, packed, rollouts
from dsm_repro.rl.batch import Batch, completion_logps
from dsm_repro.rl.critic import Critic, accumulate
from dsm_repro.training.adapters import add_adapters
from dsm_repro.training.models import model_shape

TOLERANCE = 0.005
#: no token ends a completion: all have the length of the limit
NEVER = [-1]
#: (hidden, layers, heads, kv heads, intermediate, vocabulary, tied); and numbers of a head, where it is not its share
SHAPES = {
    "mini": (96, 3, 3, 3, 288, 512, True),
    "narrow, untied": (64, 2, 4, 4, 192, 1_000, False),
    "grouped keys": (128, 2, 8, 2, 384, 600, True),
    "wide, grouped, untied": (512, 2, 8, 4, 1_408, 2_000, False),
    "wide heads": (64, 2, 4, 2, 192, 600, True, 32),
}


def make(name: str) -> LlamaForCausalLM:
    hidden, layers, heads, kv_heads, intermediate, vocabulary, tied, *width = SHAPES[name]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=256,
        tie_word_embeddings=tied, pad_token_id=0, bos_token_id=None, eos_token_id=1,
        attn_implementation="sdpa", head_dim=width[0] if width else hidden // heads,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module", params=SHAPES)
def model(request: pytest.FixtureRequest) -> Iterator[LlamaForCausalLM]:
    yield make(request.param)


def counted(work: Callable[[], Any]) -> float:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def batch(prompts: list[int], completions: list[list[int]]) -> Batch:
    """A batch of these lengths: prompts left-padded, completions right-padded."""
    width, longest = max(prompts), max(map(max, completions))
    rows = [length for group in completions for length in group]
    prompt_mask = torch.tensor([[0] * (width - n) + [1] * n for n in prompts])
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in rows])
    owner = torch.tensor([i for i, group in enumerate(completions) for _ in group])
    return Batch(3 * prompt_mask, prompt_mask, owner, 5 * mask, mask, mask)


#: equal lengths, so nothing is padded: groups that share their prompt, and prompts of their own
EQUAL = {"shared": ([20, 20], [[24] * 4, [24] * 4]), "own": ([20] * 4, [[24]] * 4), "long prompts": ([90], [[12] * 3])}


@pytest.mark.parametrize("lengths", EQUAL.values(), ids=EQUAL)
def test_generation(model: LlamaForCausalLM, lengths: tuple[list[int], list[list[int]]]) -> None:
    prompts, completions = lengths
    group, limit = len(completions[0]), completions[0][0]
    drawn = counted(
        lambda: rollouts.sample(
            model, [[7] * n for n in prompts], group, rollouts.Sampling(limit, 1.0, 1.0), NEVER, 0,
            rollouts.step_generator(0, 0),
        )
    )  # fmt: skip
    assert accounting.generate(model_shape(model), accounting.Lengths(*lengths)) == pytest.approx(drawn, rel=TOLERANCE)


@pytest.mark.parametrize("lengths", EQUAL.values(), ids=EQUAL)
def test_scoring_and_training(model: LlamaForCausalLM, lengths: tuple[list[int], list[list[int]]]) -> None:
    whole, shape, told = batch(*lengths), model_shape(model), accounting.Lengths(*lengths)
    with torch.no_grad():
        scored = counted(lambda: completion_logps(model, whole, 1.0))
    assert accounting.forward(shape, told) == pytest.approx(scored, rel=TOLERANCE)
    updated = counted(lambda: completion_logps(model, whole, 1.0).sum().backward())
    assert accounting.train(shape, told) == pytest.approx(updated, rel=TOLERANCE)


@pytest.mark.parametrize("lengths", EQUAL.values(), ids=EQUAL)
def test_the_critic(model: LlamaForCausalLM, lengths: tuple[list[int], list[list[int]]]) -> None:
    whole, told = batch(*lengths), accounting.Lengths(*lengths)
    critic = Critic(model.base_model)
    updated = counted(lambda: accumulate(critic, whole, len(whole), lambda index, values: torch.ones_like(values)))
    assert accounting.critic_train(model_shape(model), told) == pytest.approx(updated, rel=TOLERANCE)


@pytest.mark.parametrize("lengths", EQUAL.values(), ids=EQUAL)
@pytest.mark.parametrize("name", SHAPES)
def test_adapters_need_no_gradient_of_frozen_weights(name: str, lengths: tuple[list[int], list[list[int]]]) -> None:
    model = make(name)
    add_adapters(model, TuningConfig(method="lora", rank=4))
    whole, shape, told = batch(*lengths), model_shape(model), accounting.Lengths(*lengths)
    with torch.no_grad():
        scored = counted(lambda: completion_logps(model, whole, 1.0))
    assert accounting.forward(shape, told) == pytest.approx(scored, rel=TOLERANCE)
    updated = counted(lambda: completion_logps(model, whole, 1.0).sum().backward())
    # nothing asks for the gradient of the first layer's inputs, which the count takes along
    width = make(name).config.head_dim
    hidden, queries, kv = shape.hidden_size, width * shape.heads, width * shape.kv_heads
    first = 2.0 * told.read_tokens * hidden * (queries + 2 * kv + 3 * 4)
    assert accounting.train(shape, told) - first == pytest.approx(updated, rel=TOLERANCE)
    assert accounting.train(shape, told) < 0.85 * 3 * accounting.forward(shape, told)


def padded(lengths: accounting.Lengths) -> accounting.Lengths:
    """The lengths that a batch has when every row is as long as its longest."""
    longest = max(map(max, lengths.completions))
    return accounting.Lengths(
        [max(lengths.prompts)] * len(lengths.prompts), [[longest] * len(group) for group in lengths.completions]
    )


MIXED = accounting.Lengths([9, 31, 20], [[4, 24, 11], [17, 8, 24], [1, 2, 20]])


def scored(model: LlamaForCausalLM, lengths: accounting.Lengths) -> float:
    whole = batch(list(lengths.prompts), [list(group) for group in lengths.completions])
    with torch.no_grad():
        return counted(lambda: completion_logps(model, whole, 1.0))


def test_tokens_laid_end_to_end_differ_from_the_count_by_attention_on_padding() -> None:
    """On a CPU the layers see real tokens alone; rows of attention are still as long as the longest."""
    model = make("mini")
    assert packed.supported(model.base_model)
    shape = model_shape(model)
    padding = 4.0 * shape.layers * shape.hidden_size * (padded(MIXED).scoring_pairs - MIXED.scoring_pairs)
    expected = scored(model, MIXED)
    assert 0.02 < padding / expected < 0.1
    assert accounting.forward(shape, MIXED) + padding == pytest.approx(expected, rel=TOLERANCE)


def test_padded_rows_differ_from_the_count_by_their_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the model's own forward pass the layers compute padding; the head never does."""
    model = make("mini")
    monkeypatch.setattr(packed, "supported", lambda backbone: False)
    shape, full = model_shape(model), padded(MIXED)
    padding = accounting.forward(shape, full) - accounting.forward(shape, MIXED)
    padding -= 2.0 * shape.hidden_size * shape.vocab_size * (full.completion_tokens - MIXED.completion_tokens)
    expected = scored(model, MIXED)
    assert padding > 0.3 * expected
    assert accounting.forward(shape, MIXED) + padding == pytest.approx(expected, rel=TOLERANCE)


def test_micro_batches_of_like_length_come_close_to_the_count() -> None:
    """As the trainer cuts it, one row at a time has no completion padding; prompts are then computed per row."""
    model = make("mini")
    shape, lengths = model_shape(model), accounting.Lengths([20, 20], [[4, 24], [17, 8]])
    whole = batch([20, 20], [[4, 24], [17, 8]])
    with torch.no_grad():
        scored = counted(lambda: [completion_logps(model, part, 1.0) for _, part in whole.micro_batches(1)])
    own = accounting.Lengths([20] * 4, [[4], [24], [17], [8]])
    assert accounting.forward(shape, own) == pytest.approx(scored, rel=TOLERANCE)
    assert accounting.forward(shape, lengths) < accounting.forward(shape, own)


def test_a_whole_forward_pass() -> None:
    model = make("grouped keys")
    ids = torch.full((3, 40), 7)
    with torch.no_grad():
        passed = counted(lambda: model(ids))
    assert forward_flops(model_shape(model), 120, 3 * 40.0**2) == pytest.approx(passed, rel=TOLERANCE)


def test_decoding_of_an_evaluation() -> None:
    """``transformers``' generate, whose cost the stage evaluate counts from summed squares."""
    model = make("mini")
    ids = torch.full((4, 24), 7)

    def generate() -> None:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, min_new_tokens=40, do_sample=False,
            pad_token_id=0,
        )  # fmt: skip

    # the prompt's square is counted by half
    told = generation_flops(model_shape(model), 4 * 24, 4 * 64, 4 * 64.0**2)
    assert told == pytest.approx(counted(generate), rel=0.02)


def test_flops_of_a_step_by_hand() -> None:
    """One layer of width 2: block parameters 4·2² + 3·2·3 = 34, head 2·5 = 10; prompt 3, completions 2 and 1.

    Read: 3 + 1 + 0 = 4 tokens. Pairs of scoring: 3² + 1·(3 + 1) + 0 = 13; of decoding, the same here.
    """
    shape = ModelShape(hidden_size=2, layers=1, intermediate_size=3, vocab_size=5)
    lengths = accounting.Lengths([3], [[2, 1]])
    forward = 2 * 4 * 34 + 2 * 3 * 10 + 4 * 2 * 13
    assert accounting.forward(shape, lengths) == forward
    assert accounting.train(shape, lengths) == 3 * forward
    # two positions have logits: the end of the prompt, and the first token of the first completion
    assert accounting.generate(shape, lengths) == 2 * 4 * 34 + 2 * 2 * 10 + 4 * 2 * 13
    assert accounting.critic_train(shape, lengths) == 3 * (forward - 2 * 3 * 8)


def test_attention_of_decoding_and_of_scoring_by_hand() -> None:
    """Prompt 3, one completion of 4: 3 tokens are read. Decoding: 9 + (4 + 5 + 6) = 24. Scoring: 9 + 3·6 = 27."""
    lengths = accounting.Lengths([3], [[4]])
    assert lengths.read_tokens == 6
    assert lengths.decoding_pairs == 24
    assert lengths.scoring_pairs == 27
