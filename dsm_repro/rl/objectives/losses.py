"""From tokens to a scalar: how much each token weighs in the batch, the losses of Eq. 1 and 3, and the critic's.

An objective is the sum over all tokens of weight times surrogate. Weights depend on the mask of the *whole* batch
alone, so that a batch may be cut into micro-batches anywhere and its parts added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsm_repro.rl.objectives.surrogates import clipped_surrogate, k3

if TYPE_CHECKING:
    from torch import Tensor


def output_weights(mask: Tensor) -> Tensor:
    """1/(B |o_i|): the mean over each output's own tokens, then over outputs (Eq. 1 and 3). (B, T), sums to 1.

    With every group of the same size, the mean over all B outputs is the mean over questions of the group means.
    """
    return mask / mask.sum(dim=-1, keepdim=True).clamp(min=1) / mask.shape[0]


def token_weights(mask: Tensor) -> Tensor:
    """1/sum_i |o_i|: the mean over all tokens of the batch, so that long outputs weigh more (DAPO, Eq. 8)."""
    return mask / mask.sum().clamp(min=1)


def constant_weights(mask: Tensor, length: int) -> Tensor:
    """1/(B L) with the length limit L: no output's length divides its tokens (Dr. GRPO, arXiv:2503.20783)."""
    return mask / (mask.shape[0] * length)


def policy_loss(surrogate: Tensor, weights: Tensor, kl: Tensor | None = None, beta: float = 0.0) -> Tensor:
    """Minus sum weight (surrogate - beta KL), a scalar; all arguments (B, T)."""
    objective = surrogate if kl is None or beta == 0.0 else surrogate - beta * kl
    # padding has weight 0, and 0 times an infinity would not be 0
    return -(objective * weights).masked_fill(weights == 0, 0.0).sum()


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

    Args:
        logps, old_logps, ref_logps, advantages, mask: (B, T); ``ref_logps`` may be None when ``beta`` is 0,
            and then this is Eq. 1, PPO's loss: its KL stands in the reward (Eq. 2).

    Returns:
        a scalar.
    """
    if beta != 0.0 and ref_logps is None:
        raise ValueError(f"beta={beta} needs the reference log-probabilities")
    kl = None if ref_logps is None else k3(logps, ref_logps)
    return policy_loss(clipped_surrogate(logps, old_logps, advantages, epsilon), output_weights(mask), kl, beta)


def per_output_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(1/|o_i|) sum_t of Eq. 1 and 3: the mean over each output's own tokens, (B, T) -> (B,)."""
    return (values * mask).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)


def value_loss(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """Squared error of the critic, 1/2 (V_t - R_t)^2, averaged as Eq. 1 averages the surrogate."""
    return per_output_mean(0.5 * (values - returns).square(), mask).mean()
