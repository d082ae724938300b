"""The equations of §4 as pure functions on tensors: no trainer, no model, no configuration.

Shapes: ``B`` completions (``B`` = questions times ``G``, the completions of one question in ``G``
consecutive rows), ``T`` token positions. ``mask`` is 1 on the tokens of a completion (its end-of-sequence
token included) and 0 on padding. Log-probabilities are natural logarithms of the sampled tokens.

Equation and section numbers are those of arXiv:2402.03300. Objectives there are maximised; the
``*_loss`` functions return their negation, to be minimised.
"""

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
    if rewards.dim() != 1 or rewards.shape[0] % group_size:
        raise ValueError(f"{tuple(rewards.shape)} rewards do not split into groups of {group_size}")
    if group_size <= ddof:
        raise ValueError(f"a group of {group_size} has no standard deviation at ddof={ddof}")
    groups = rewards.view(-1, group_size)
    return _standardise(groups, groups, ddof, guard).reshape(-1)


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
        normalised = _standardise(pooled[None], pooled[None], ddof, guard)[0]
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


def _standardise(values: Tensor, sample: Tensor, ddof: int, guard: float) -> Tensor:
    """(values - mean) / (std + guard) along the last axis, with exact zeros where the sample is constant."""
    constant = (sample == sample[..., :1]).all(dim=-1, keepdim=True)
    centred = values - sample.mean(dim=-1, keepdim=True)
    squares = (sample - sample.mean(dim=-1, keepdim=True)).square().sum(dim=-1, keepdim=True)
    deviation = (squares / max(sample.shape[-1] - ddof, 1)).sqrt()
    return (centred / (deviation + guard)).masked_fill(constant, 0.0)


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
    last = (mask.sum(dim=-1).long() - 1).clamp(min=0)
    return shaped.scatter_add(1, last[:, None], rewards[:, None].to(shaped.dtype)) * mask


def gae(token_rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2015), the A_t of Eq. 1.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 after the last token; A_t = delta_t + gamma lambda A_{t+1}.

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
        following_advantage = (delta + gamma * gae_lambda * following_advantage) * mask[:, t]
        following_value = values[:, t] * mask[:, t]
        advantages[:, t] = following_advantage
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


def k3(logps: Tensor, ref_logps: Tensor) -> Tensor:
    """Per-token estimate of KL(pi_theta || pi_ref), Eq. 4: r - log r - 1 with r = pi_ref / pi_theta; never negative."""
    import torch

    log_r = ref_logps - logps
    # expm1: at the first steps r is so close to 1 that r - 1 would be rounding noise
    return torch.expm1(log_r) - log_r


def clipped_surrogate(logps: Tensor, old_logps: Tensor, advantages: Tensor, epsilon: float) -> Tensor:
    """min(rho A, clip(rho, 1-eps, 1+eps) A) of Eq. 1 and 3, with rho = pi_theta / pi_old per *token*. (B, T)."""
    import torch

    ratio = (logps - old_logps).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1.0 - epsilon, 1.0 + epsilon) * advantages)


def per_output_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(1/|o_i|) sum_t of Eq. 1 and 3: the mean over each output's own tokens, (B, T) -> (B,)."""
    return (values * mask).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)


def grpo_loss(
    logps: Tensor,
    old_logps: Tensor,
    ref_logps: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    epsilon: float,
    beta: float,
) -> Tensor:
    """Minus Eq. 3: surrogate minus beta times k3 per token, mean over each output, then mean over outputs.

    With every group of the same size, the mean over all B outputs is the mean over questions of the group means.

    Args:
        logps, old_logps, ref_logps, advantages, mask: (B, T); ``ref_logps`` may be None when ``beta`` is 0,
            and then this is Eq. 1, PPO's loss: its KL stands in the reward (Eq. 2).

    Returns:
        a scalar.
    """
    objective = clipped_surrogate(logps, old_logps, advantages, epsilon)
    if beta != 0.0:
        if ref_logps is None:
            raise ValueError(f"beta={beta} needs the reference log-probabilities")
        objective = objective - beta * k3(logps, ref_logps)
    return -per_output_mean(objective, mask).mean()


def value_loss(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Squared error of the critic, 1/2 (V_t - R_t)^2, averaged as Eq. 1 averages the surrogate."""
    return per_output_mean(0.5 * (values - returns).square(), mask).mean()


def gradient_coefficient(advantages: Tensor, logps: Tensor, ref_logps: Tensor | None, beta: float) -> Tensor:
    """GC of Eq. 21: A + beta (pi_ref / pi_theta - 1), the factor of grad log pi under Eq. 3's weights at one update.

    Returns:
        (B, T).
    """
    if beta == 0.0 or ref_logps is None:
        return advantages
    return advantages + beta * ((ref_logps - logps).exp() - 1.0)
