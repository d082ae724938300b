"""Token weights and losses against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dsm_repro.rl import objectives as o

D = torch.float64


def t(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=D)


def test_grpo_loss_by_hand() -> None:
    """Eq. 3: mean within each output first, so that a long output weighs no more than a short one."""
    logps = t([math.log(0.5), math.log(0.5)], [math.log(0.25), 0.0])
    ref_logps = t([math.log(0.25), math.log(0.5)], [math.log(0.25), 0.0])
    mask, advantages = t([1, 1], [1, 0]), t([1, 1], [-1, 7])
    loss = o.grpo_loss(logps, logps, ref_logps, advantages, mask, epsilon=0.2, beta=0.04)
    first = ((1 - 0.04 * (math.log(2) - 0.5)) + 1) / 2
    assert loss.item() == pytest.approx(-(first + -1) / 2)


def test_value_loss_by_hand() -> None:
    assert o.value_loss(t([1, 3], [2, 9]), t([0, 0], [0, 0]), t([1, 1], [1, 0])).item() == pytest.approx(
        ((0.5 + 4.5) / 2 + 2) / 2
    )


MASK = t([1, 1, 1], [1, 0, 0])


def test_token_weights_by_hand() -> None:
    """Outputs of 3 and 1 tokens, a limit of 3."""
    assert o.output_weights(MASK).tolist() == [pytest.approx([1 / 6] * 3), [0.5, 0.0, 0.0]]
    assert o.token_weights(MASK).tolist() == [[0.25] * 3, [0.25, 0.0, 0.0]]
    assert o.constant_weights(MASK, 3).tolist() == [pytest.approx([1 / 6] * 3), pytest.approx([1 / 6, 0, 0])]


def test_weights_of_a_batch_sum_to_one_but_for_constant_ones() -> None:
    assert o.output_weights(MASK).sum().item() == pytest.approx(1.0)
    assert o.token_weights(MASK).sum().item() == pytest.approx(1.0)
    # 4 tokens of 2 x 3 places
    assert o.constant_weights(MASK, 3).sum().item() == pytest.approx(4 / 6)


def test_all_weights_agree_where_every_output_fills_the_limit() -> None:
    full = torch.ones(4, 5, dtype=D)
    assert torch.allclose(o.output_weights(full), o.token_weights(full))
    assert torch.allclose(o.output_weights(full), o.constant_weights(full, 5))


def test_policy_loss_by_hand_and_padding_cannot_spoil_it() -> None:
    surrogate, kl = t([1, 2, math.inf], [4, math.nan, 0]), t([0.5, 0, math.nan], [1, 0, 0])
    weights = t([0.25, 0.25, 0], [0.5, 0, 0])
    assert o.policy_loss(surrogate, weights).item() == pytest.approx(-(0.25 + 0.5 + 2))
    assert o.policy_loss(surrogate, weights, kl, 0.1).item() == pytest.approx(-(0.25 * 0.95 + 0.5 + 0.5 * 3.9))


def test_grpo_loss_is_the_policy_loss_of_its_parts() -> None:
    generator = torch.Generator().manual_seed(1)
    logps, old, ref, advantages = (-torch.rand(2, 3, dtype=D, generator=generator) for _ in range(4))
    whole = o.grpo_loss(logps, old, ref, advantages, MASK, 0.2, 0.04)
    surrogate = o.clipped_surrogate(logps, old, advantages, 0.2)
    parts = (surrogate - 0.04 * o.k3(logps, ref)) * o.output_weights(MASK)
    assert whole.item() == pytest.approx(-parts.sum().item())
    with pytest.raises(ValueError, match="reference"):
        o.grpo_loss(logps, old, None, advantages, MASK, 0.2, 0.04)
