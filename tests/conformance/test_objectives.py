"""The equations of §4 against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dsm_repro.rl import objectives as o

D = torch.float64


def t(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=D)


def test_outcome_advantage_by_hand() -> None:
    # rewards 1,0,0,0: mean 1/4, population variance 3/16, std sqrt(3)/4
    advantage = o.outcome_advantage(t(1, 0, 0, 0, 1, 1, 0, 0), 4, ddof=0, guard=0.0)
    expected = [math.sqrt(3), *[-1 / math.sqrt(3)] * 3, 1, 1, -1, -1]
    assert advantage.tolist() == pytest.approx(expected)


def test_outcome_advantage_with_bessel_and_guard_by_hand() -> None:
    # 1,0: mean 1/2, Bessel variance 1/2
    assert o.outcome_advantage(t(1, 0), 2, ddof=1, guard=0.0).tolist() == pytest.approx([0.5**0.5, -(0.5**0.5)])
    assert o.outcome_advantage(t(1, 0), 2, ddof=0, guard=0.5).tolist() == pytest.approx([0.5, -0.5])


@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, 1 / 3, -7.3])
@pytest.mark.parametrize("size", [2, 3, 7, 64])
def test_equal_rewards_give_exactly_zero(reward: float, size: int) -> None:
    advantage = o.outcome_advantage(torch.full((2 * size,), reward), size, ddof=0, guard=1e-8)
    assert advantage.tolist() == [0.0] * (2 * size)


def test_advantages_of_a_group_sum_to_zero() -> None:
    rewards = torch.rand(8 * 16, dtype=D, generator=torch.Generator().manual_seed(0))
    sums = o.outcome_advantage(rewards, 16, ddof=0, guard=1e-8).view(8, 16).sum(-1)
    assert sums.abs().max() < 1e-12


def test_one_group_does_not_see_another() -> None:
    one = o.outcome_advantage(t(1, 0, 3, 9), 2, ddof=0, guard=1e-8)
    other = o.outcome_advantage(t(1, 0, -5, 2), 2, ddof=0, guard=1e-8)
    assert torch.equal(one[:2], other[:2])


def test_a_group_that_does_not_divide_the_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="groups of 3"):
        o.outcome_advantage(t(1, 0), 3, 0, 0.0)
    with pytest.raises(ValueError, match="ddof"):
        o.outcome_advantage(t(1, 0), 1, 1, 0.0)


def test_process_advantage_by_hand() -> None:
    # output 1: rewards 1 (ends at 1), 0 (ends at 2); output 2: 1 (ends at 0). R = {1, 0, 1}: mean 2/3, std sqrt(2)/3
    advantage = o.process_advantage([[1, 0], [1]], [[1, 2], [0]], 2, 4, ddof=0, guard=0.0, like=t(0.0))
    high, low = 1 / math.sqrt(2), -math.sqrt(2)
    assert advantage[0].tolist() == pytest.approx([high + low, high + low, low, 0.0])
    assert advantage[1].tolist() == pytest.approx([high, 0.0, 0.0, 0.0])


def test_process_advantage_equals_outcome_advantage_for_one_step() -> None:
    rewards, lengths = [1.0, 0.0, 0.25, 0.0, 1.0, 1.0], [3, 5, 1, 2, 4, 5]
    process = o.process_advantage([[r] for r in rewards], [[n - 1] for n in lengths], 3, 5, 0, 1e-8, t(0.0))
    outcome = o.outcome_advantage(torch.tensor(rewards, dtype=D), 3, 0, 1e-8)
    mask = (torch.arange(5)[None] < torch.tensor(lengths)[:, None]).to(D)
    assert torch.allclose(process, outcome[:, None] * mask, atol=1e-14)


def test_k3_by_hand_and_never_negative() -> None:
    # pi_theta = 1/2, pi_ref = 1/4: r = 1/2, 1/2 - log(1/2) - 1 = log 2 - 1/2
    assert o.k3(t(math.log(0.5)), t(math.log(0.25))).item() == pytest.approx(math.log(2) - 0.5)
    generator = torch.Generator().manual_seed(1)
    logps, ref_logps = -5 * torch.rand(2, 1000, dtype=D, generator=generator)
    assert (o.k3(logps, ref_logps) >= 0).all()
    assert o.k3(logps, logps).abs().max() == 0


def test_clipped_surrogate_by_hand() -> None:
    old, ratio = torch.zeros(1, 6, dtype=D), t(1.5, 1.5, 0.5, 0.5, 1.1, 0.9)[None].reshape(1, 6)
    advantage = t(1, -1, 1, -1, 2, 2).reshape(1, 6)
    value = o.clipped_surrogate(ratio.log(), old, advantage, 0.2)
    assert value[0].tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8, 2.2, 1.8])


def test_grpo_loss_by_hand() -> None:
    """Eq. 3: mean within each output first, so that a long output weighs no more than a short one."""
    logps = t([math.log(0.5), math.log(0.5)], [math.log(0.25), 0.0])
    ref_logps = t([math.log(0.25), math.log(0.5)], [math.log(0.25), 0.0])
    mask, advantages = t([1, 1], [1, 0]), t([1, 1], [-1, 7])
    loss = o.grpo_loss(logps, logps, ref_logps, advantages, mask, epsilon=0.2, beta=0.04)
    first = ((1 - 0.04 * (math.log(2) - 0.5)) + 1) / 2
    assert loss.item() == pytest.approx(-(first + -1) / 2)


def test_autograd_of_grpo_loss_is_the_gradient_coefficient_of_eq_21() -> None:
    generator = torch.Generator().manual_seed(3)
    logps = -torch.rand(4, 6, dtype=D, generator=generator)
    ref_logps = -torch.rand(4, 6, dtype=D, generator=generator)
    advantages = torch.randn(4, 6, dtype=D, generator=generator)
    lengths = torch.tensor([[6], [1], [3], [5]])
    mask = (torch.arange(6)[None] < lengths).to(D)
    logps.requires_grad_()
    o.grpo_loss(logps, logps.detach(), ref_logps, advantages, mask, epsilon=0.2, beta=0.04).backward()
    coefficient = o.gradient_coefficient(advantages, logps.detach(), ref_logps, 0.04)
    assert logps.grad is not None
    assert torch.allclose(logps.grad, -coefficient * mask / lengths / 4, atol=1e-15)


def test_kl_shaped_reward_by_hand() -> None:
    """Eq. 2: the log ratio at every token, the reward at the last one."""
    logps, ref_logps = t([-1.0, -2.0, -3.0], [-1.0, -9.0, -9.0]), t([-2.0, -2.0, -1.0], [-1.5, -1.0, -1.0])
    shaped = o.kl_shaped_reward(t(1.0, 0.5), logps, ref_logps, t([1, 1, 1], [1, 0, 0]), beta=0.1)
    assert shaped[0].tolist() == pytest.approx([-0.1, 0.0, 1.2])
    assert shaped[1].tolist() == pytest.approx([0.45, 0.0, 0.0])


def test_gae_by_hand() -> None:
    # gamma 1/2, lambda 1/2; deltas: 0+1/2*2-1=0, 0+1/2*4-2=0, 1-4=-3; A3=-3, A2=-3/4, A1=-3/16
    advantages, returns = o.gae(t([0, 0, 1, 9]), t([1, 2, 4, 5]), t([1, 1, 1, 0]), 0.5, 0.5)
    assert advantages[0].tolist() == pytest.approx([-3 / 16, -3 / 4, -3, 0])
    assert returns[0].tolist() == pytest.approx([13 / 16, 5 / 4, 1, 0])


def test_gae_at_gamma_and_lambda_one_is_reward_to_go_minus_value() -> None:
    rewards, values = t([0.1, 0.2, 1.0]), t([0.3, -0.4, 0.5])
    advantages, returns = o.gae(rewards, values, torch.ones(1, 3, dtype=D), 1.0, 1.0)
    to_go = t([1.3, 1.2, 1.0])
    assert torch.allclose(returns, to_go) and torch.allclose(advantages, to_go - values)


def test_value_loss_by_hand() -> None:
    assert o.value_loss(t([1, 3], [2, 9]), t([0, 0], [0, 0]), t([1, 1], [1, 0])).item() == pytest.approx(
        ((0.5 + 4.5) / 2 + 2) / 2
    )


def test_whiten_counts_real_tokens_only_and_leaves_noise_small() -> None:
    mask = t([1, 1, 0], [1, 0, 0])
    white = o.whiten(t([1, 2, 99], [3, 99, 99]), mask, guard=0.0)
    assert white[mask.bool()].tolist() == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])
    assert (white * (1 - mask)).abs().max() == 0
    assert o.whiten(1e-7 * t([1, -1]), t([1, 1])).abs().max() < 2e-3
