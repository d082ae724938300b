"""Advantages of §4.1 and of the later methods against numbers worked by hand."""

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
    rewards = torch.full((2 * size,), reward)
    for advantage in (
        o.outcome_advantage(rewards, size, ddof=0, guard=1e-8),
        o.outcome_advantage(rewards, size, ddof=1, guard=0.0),
        o.mean_advantage(rewards, size),
        o.leave_one_out_advantage(rewards, size),
    ):
        assert advantage.tolist() == [0.0] * (2 * size)


def test_advantages_of_a_group_sum_to_zero() -> None:
    rewards = torch.rand(8 * 16, dtype=D, generator=torch.Generator().manual_seed(0))
    for advantage in (
        o.outcome_advantage(rewards, 16, ddof=0, guard=1e-8),
        o.mean_advantage(rewards, 16),
        o.leave_one_out_advantage(rewards, 16),
    ):
        assert advantage.view(8, 16).sum(-1).abs().max() < 1e-12


def test_one_group_does_not_see_another() -> None:
    one = o.outcome_advantage(t(1, 0, 3, 9), 2, ddof=0, guard=1e-8)
    other = o.outcome_advantage(t(1, 0, -5, 2), 2, ddof=0, guard=1e-8)
    assert torch.equal(one[:2], other[:2])


def test_a_group_that_does_not_divide_the_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="groups of 3"):
        o.outcome_advantage(t(1, 0), 3, 0, 0.0)
    with pytest.raises(ValueError, match="groups of 3"):
        o.mean_advantage(t(1, 0), 3)
    with pytest.raises(ValueError, match="ddof"):
        o.outcome_advantage(t(1, 0), 1, 1, 0.0)
    with pytest.raises(ValueError, match="no other completion"):
        o.leave_one_out_advantage(t(1, 0), 1)


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


def test_whiten_counts_real_tokens_only_and_leaves_noise_small() -> None:
    mask = t([1, 1, 0], [1, 0, 0])
    white = o.whiten(t([1, 2, 99], [3, 99, 99]), mask, guard=0.0)
    assert white[mask.bool()].tolist() == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])
    assert (white * (1 - mask)).abs().max() == 0
    assert o.whiten(1e-7 * t([1, -1]), t([1, 1])).abs().max() < 2e-3


def test_standardised_advantage_of_a_binary_reward_depends_on_the_success_rate_alone() -> None:
    """Success rate p: sqrt((1-p)/p) on the right outputs, -sqrt(p/(1-p)) on the wrong ones; whatever the two values."""
    p = 3 / 8
    rewards = t(1, 1, 1, 0, 0, 0, 0, 0)
    expected = [math.sqrt((1 - p) / p)] * 3 + [-math.sqrt(p / (1 - p))] * 5
    assert o.outcome_advantage(rewards, 8, ddof=0, guard=0.0).tolist() == pytest.approx(expected)
    assert o.outcome_advantage(7 * rewards - 3, 8, ddof=0, guard=0.0).tolist() == pytest.approx(expected)


def test_mean_and_leave_one_out_advantages_by_hand() -> None:
    rewards = t(1, 0, 0, 3)
    assert o.mean_advantage(rewards, 4).tolist() == [0.0, -1.0, -1.0, 2.0]
    # the others' means: 1, 4/3, 4/3, 1/3
    assert o.leave_one_out_advantage(rewards, 4).tolist() == pytest.approx([0, -4 / 3, -4 / 3, 8 / 3])
    assert o.leave_one_out_advantage(t(1, 0, 5, 9), 2).tolist() == [1.0, -1.0, -4.0, 4.0]


def test_leave_one_out_baseline_is_the_mean_of_the_others() -> None:
    rewards = torch.randn(12, dtype=D, generator=torch.Generator().manual_seed(2))
    advantage = o.leave_one_out_advantage(rewards, 6).view(2, 6)
    for group, row in zip(rewards.view(2, 6), advantage, strict=True):
        for i in range(6):
            others = torch.cat([group[:i], group[i + 1 :]])
            assert row[i].item() == pytest.approx((group[i] - others.mean()).item())


def test_steps_of_all_outputs_are_normalised_together_and_an_output_without_steps_takes_no_part() -> None:
    # R = {1, 0, 0, 1}: mean 1/2, std 1/2, whatever stands in the group of the third and fourth output
    advantage = o.process_advantage([[1, 0, 0, 1], [], [5], [5]], [[0, 1, 2, 3], [], [0], [3]], 2, 4, 0, 0.0, t(0.0))
    assert advantage[0].tolist() == pytest.approx([0, -1, 0, 1])
    # no step, or steps that are all equal: exactly 0
    assert advantage[1:].abs().max() == 0
    assert o.process_advantage([[], []], [[], []], 2, 3, 0, 0.0, t(0.0)).tolist() == [[0.0] * 3] * 2
    # a single step in the whole group has no deviation to be divided by
    assert o.process_advantage([[1], []], [[2], []], 2, 3, 1, 0.0, t(0.0)).abs().max() == 0


def test_process_rewards_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 2"):
        o.process_advantage([[1]], [[0]], 2, 4, 0, 0.0, t(0.0))
    with pytest.raises(ValueError, match="2 step rewards, 1 ends"):
        o.process_advantage([[1, 0], [1]], [[0], [1]], 2, 4, 0, 0.0, t(0.0))
    with pytest.raises(ValueError, match="ends at 4"):
        o.process_advantage([[1], [0]], [[4], [0]], 2, 4, 0, 0.0, t(0.0))


def test_the_reward_stands_at_the_last_written_token_even_after_a_tools_output() -> None:
    shaped = o.kl_shaped_reward(t(1.0), t([-1.0, 0.0, -1.0, 0.0]), None, t([1, 0, 1, 0]), beta=0.0)
    assert shaped[0].tolist() == [0.0, 0.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="reference"):
        o.kl_shaped_reward(t(1.0), t([-1.0]), None, t([1]), beta=0.1)


def test_gae_passes_over_a_tools_output() -> None:
    plain, _ = o.gae(t([0, 1]), t([1, 4]), t([1, 1]), 0.5, 0.5)
    with_tool, returns = o.gae(t([0, 7, 1]), t([1, 9, 4]), t([1, 0, 1]), 0.5, 0.5)
    assert with_tool[0].tolist() == [plain[0, 0], 0.0, plain[0, 1]]
    assert returns[0, 1] == 0


def test_overlong_penalty_by_hand() -> None:
    """L_max = 20,480 and L_cache = 4,096, as published: nothing up to 16,384, half way at 18,432, all at the limit."""
    lengths = t(1, 16_384, 17_408, 18_432, 20_480, 20_481)
    penalty = o.overlong_penalty(lengths, 20_480, 0.2)
    assert penalty.tolist() == pytest.approx([0, 0, 0.25, 0.5, 1, 1], abs=1e-12)
