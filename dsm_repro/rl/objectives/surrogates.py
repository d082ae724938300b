"""What is maximised per token, (B, T): the clipped ratio of Eq. 1 and 3 and its relatives, and the KL term of Eq. 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def k3(logps: Tensor, ref_logps: Tensor) -> Tensor:
    """Per-token estimate of KL(pi_theta || pi_ref), Eq. 4: r - log r - 1 with r = pi_ref / pi_theta; never negative."""
    import torch

    log_r = ref_logps - logps
    # expm1: at the first steps r is so close to 1 that r - 1 would be rounding noise
    return torch.expm1(log_r) - log_r


def clipped_surrogate(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, epsilon: float, epsilon_high: float | None = None
) -> Tensor:
    """min(rho A, clip(rho, 1-eps, 1+eps) A) of Eq. 1 and 3, with rho = pi_theta / pi_old per *token*.

    ``epsilon_high`` is the upper eps where it is another: clip-higher of DAPO (arXiv:2503.14476, Eq. 8).
    """
    return _clip((logps - old_logps).exp(), advantages, epsilon, epsilon_high)


def sequence_surrogate(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    epsilon: float,
    epsilon_high: float | None = None,
) -> Tensor:
    """As :func:`clipped_surrogate` with one ratio per *output*: GSPO (arXiv:2507.18071, Eq. 5-7).

    s_i = (pi_theta(o_i) / pi_old(o_i))^(1/|o_i|), the geometric mean of the token ratios, the same at every token.
    """
    mean_log_ratio = ((logps - old_logps) * mask).sum(dim=-1, keepdim=True) / mask.sum(dim=-1, keepdim=True).clamp(
        min=1
    )
    return _clip(mean_log_ratio.exp().expand_as(logps), advantages, epsilon, epsilon_high)


def clipped_weight_surrogate(logps: Tensor, old_logps: Tensor, advantages: Tensor, epsilon_high: float) -> Tensor:
    """sg(min(rho, 1+eps_high)) A log pi: CISPO (arXiv:2506.13585, Eq. 4-5).

    The ratio is a weight without gradient, so that no token loses its gradient to clipping.
    """
    weight = (logps - old_logps).exp().clamp(max=1.0 + epsilon_high).detach()
    return weight * advantages * logps


def likelihood(logps: Tensor, advantages: Tensor) -> Tensor:
    """A log pi: maximum likelihood weighted by A, which is Eq. 10 of RFT where A is 1 on correct outputs, else 0."""
    return advantages * logps


def _clip(ratio: Tensor, advantages: Tensor, epsilon: float, epsilon_high: float | None) -> Tensor:
    import torch

    upper = 1.0 + (epsilon if epsilon_high is None else epsilon_high)
    return torch.minimum(ratio * advantages, ratio.clamp(1.0 - epsilon, upper) * advantages)
