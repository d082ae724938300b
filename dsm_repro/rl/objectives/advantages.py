"""How good each token was: group-relative advantages (§4.1.2-4.1.3), GAE and the KL-shaped reward (Eq. 1-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def outcome_advantage(rewards: Tensor, group_size: int, ddof: int, guard: float) -> Tensor:
    """Group-relative advantage under outcome supervision, §4.1.2: (r_i - mean(r)) / (std(r) + guard).

    Args:
        rewards: (B,) one reward per completion.
        group_size: G, completions per question; must divide B.
        ddof: delta degrees of freedom of the standard deviation (0: population, 1: Bessel); the paper
            does not say which.
        guard: added to the standard deviation; the paper does not give one.

    Returns:
        (B,) advantages. A group whose rewards are all equal gets exactly 0, whatever the rounding of its mean.

    Raises:
        ValueError: ``group_size`` does not divide B, or leaves no degree of freedom.
    """
    groups = _groups(rewards, group_size)
    if group_size <= ddof:
        raise ValueError(f"a group of {group_size} has no standard deviation at ddof={ddof}")
    return _standardise(groups, ddof, guard).reshape(-1)


def mean_advantage(rewards: Tensor, group_size: int) -> Tensor:
    """r_i - mean(r) of the group, undivided: Dr. GRPO (arXiv:2503.20783). (B,) -> (B,).

    Equal rewards give exactly 0.

    Raises:
        ValueError: ``group_size`` does not divide B.
    """
    groups = _groups(rewards, group_size)
    return (groups - groups.mean(dim=-1, keepdim=True)).masked_fill(_constant(groups), 0.0).reshape(-1)


def leave_one_out_advantage(rewards: Tensor, group_size: int) -> Tensor:
    """r_i minus the mean of the group's other rewards: RLOO (arXiv:2402.14740). (B,) -> (B,).

    Raises:
        ValueError: a group of one has no others, or ``group_size`` does not divide B.
    """
    if group_size < 2:
        raise ValueError(f"a group of {group_size} has no other completion")
    return mean_advantage(rewards, group_size) * (group_size / (group_size - 1))


def process_advantage(
    step_rewards: Sequence[Sequence[float]],
    step_ends: Sequence[Sequence[int]],
    group_size: int,
    length: int,
    ddof: int,
    guard: float,
    like: Tensor,
) -> Tensor:
    """Advantage under process supervision, §4.1.3.

    The rewards of *all* steps of *all* outputs of a group are normalised together; the advantage of token t
    is the sum of the normalised rewards of the steps that end at t or later.

    Args:
        step_rewards: B lists, the reward of each step of an output.
        step_ends: B lists, the token position (0-based) of each step's last token, ascending.
        group_size: G; must divide B.
        length: T.
        ddof, guard: as in :func:`outcome_advantage`.
        like: a tensor whose dtype and device the result takes.

    Returns:
        (B, T) advantages.

    Raises:
        ValueError: the lists do not match, or a position lies outside 0..T-1.
    """
    if len(step_rewards) != len(step_ends) or len(step_rewards) % group_size:
        raise ValueError(f"{len(step_rewards)} outputs, {len(step_ends)} lists of ends, groups of {group_size}")
    advantages = like.new_zeros((len(step_rewards), length))
    for start in range(0, len(step_rewards), group_size):
        rows = range(start, start + group_size)
        pooled = like.new_tensor([reward for row in rows for reward in step_rewards[row]])
        if pooled.numel() == 0:
            continue
        normalised = _standardise(pooled[None], ddof, guard)[0]
        position = 0
        for row in rows:
            if len(step_rewards[row]) != len(step_ends[row]):
                raise ValueError(f"output {row}: {len(step_rewards[row])} step rewards, {len(step_ends[row])} ends")
            for end in step_ends[row]:
                if not 0 <= end < length:
                    raise ValueError(f"output {row}: a step ends at {end}, outside 0..{length - 1}")
                advantages[row, : end + 1] += normalised[position]
                position += 1
    return advantages


def overlong_penalty(lengths: Tensor, limit: int, share: float) -> Tensor:
    """Soft overlong punishment of DAPO (arXiv:2503.14476, Eq. 13), as a positive number; (B,) -> (B,).

    0 up to L_max - L_cache, then rising in proportion to 1 at L_max, with L_max = ``limit`` and L_cache =
    ``share`` times ``limit``, greater than 0.
    """
    cache = share * limit
    return ((lengths - (limit - cache)) / cache).clamp(0.0, 1.0)


def _groups(rewards: Tensor, group_size: int) -> Tensor:
    """(B,) -> (B / G, G)."""
    if rewards.dim() != 1 or rewards.shape[0] % group_size:
        raise ValueError(f"{tuple(rewards.shape)} rewards do not split into groups of {group_size}")
    return rewards.view(-1, group_size)


def _constant(values: Tensor) -> Tensor:
    """Whether all values along the last axis are equal: their mean may be off by rounding, so it is not asked."""
    return (values == values[..., :1]).all(dim=-1, keepdim=True)


def _standardise(values: Tensor, ddof: int, guard: float) -> Tensor:
    """(values - mean) / (std + guard) along the last axis, with exact zeros where they are constant."""
    centred = values - values.mean(dim=-1, keepdim=True)
    deviation = (centred.square().sum(dim=-1, keepdim=True) / max(values.shape[-1] - ddof, 1)).sqrt()
    return (centred / (deviation + guard)).masked_fill(_constant(values), 0.0)


def kl_shaped_reward(rewards: Tensor, logps: Tensor, ref_logps: Tensor | None, mask: Tensor, beta: float) -> Tensor:
    """Per-token reward of PPO, Eq. 2: the completion's reward at its last token, minus beta log(pi_theta / pi_ref).

    Args:
        rewards: (B,). logps, ref_logps, mask: (B, T); ``ref_logps`` may be None when ``beta`` is 0.

    Returns:
        (B, T), zero on padding.
    """
    import torch

    shaped = torch.zeros_like(logps)
    if beta != 0.0:
        if ref_logps is None:
            raise ValueError(f"beta={beta} needs the reference log-probabilities")
        shaped = -beta * (logps - ref_logps) * mask
    # the last token that the policy wrote: the output of a tool may stand before it, masked
    last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(dim=-1)
    return shaped.scatter_add(1, last[:, None], rewards[:, None].to(shaped.dtype)) * mask


def gae(token_rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2015), the A_t of Eq. 1.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 after the last token; A_t = delta_t + gamma lambda A_{t+1}.
    Masked positions in the middle (the output of a tool) are passed over: t+1 is the next token of the policy.

    Args:
        token_rewards, values, mask: (B, T); ``values[:, t]`` is V of the state in which token t is chosen.

    Returns:
        advantages and returns (advantages + values), (B, T) each, zero on padding.
    """
    import torch

    advantages = torch.zeros_like(values)
    following_advantage = torch.zeros_like(values[:, 0])
    following_value = torch.zeros_like(values[:, 0])
    for t in range(values.shape[1] - 1, -1, -1):
        delta = token_rewards[:, t] + gamma * following_value - values[:, t]
        written = mask[:, t].bool()
        following_advantage = torch.where(
            written, delta + gamma * gae_lambda * following_advantage, following_advantage
        )
        following_value = torch.where(written, values[:, t], following_value)
        advantages[:, t] = following_advantage
    advantages = advantages * mask
    return advantages, (advantages + values) * mask


def whiten(advantages: Tensor, mask: Tensor, guard: float = 1e-8) -> Tensor:
    """Zero mean and unit variance over all unmasked tokens of the batch; zero on padding.

    ``guard`` is added to the (population) variance. It is far above float32 rounding noise on purpose: a batch
    whose rewards are all equal must not have the noise of its KL terms blown up to unit size.
    """
    count = mask.sum().clamp(min=1)
    mean = (advantages * mask).sum() / count
    centred = (advantages - mean) * mask
    return centred / (centred.square().sum() / count + guard).sqrt()
