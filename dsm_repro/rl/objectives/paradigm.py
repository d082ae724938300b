"""The unified paradigm of §5.2.1 and Appendix A.1: gradient coefficients, the factor of grad log pi in each method.

Eq. 5: grad J = E[ (1/|o|) sum_t GC(q, o, t) grad log pi(o_t | q, o_<t) ]. Methods differ in where outputs come from,
in the reward, and in GC. Nothing here is used in training: the tests compare autograd of each method's loss with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def sft_coefficient(logps: Tensor) -> Tensor:
    """Supervised fine-tuning: 1 on every token (Table 10). (B, T) -> (B, T)."""
    import torch

    return torch.ones_like(logps)


def rft_coefficient(correct: Tensor) -> Tensor:
    """RFT and Online RFT, Eq. 10: I(o), 1 where the answer is right and else 0. (B,) bool -> (B,) float."""
    import torch

    return correct.to(torch.get_default_dtype())


def dpo_coefficient(chosen_log_ratio: Tensor, rejected_log_ratio: Tensor, beta: float) -> Tensor:
    """DPO, Eq. 14: sigma(beta log(pi_theta(o-)/pi_ref(o-)) - beta log(pi_theta(o+)/pi_ref(o+))). (P,) each -> (P,).

    It stands before grad log pi of the better output o+ and, negated, of the worse output o-. The gradient of
    log sigma(beta (log ratio of o+) - beta (log ratio of o-)) has beta as a further factor, which the paper leaves out.
    The paper's Eq. 12 divides an output's log ratio by its length; DPO as published and as trained here does not. The
    coefficient is the same function of whichever is given.
    """
    return (beta * (rejected_log_ratio - chosen_log_ratio)).sigmoid()


def ppo_coefficient(advantages: Tensor) -> Tensor:
    """PPO, Eq. 18: A_t of GAE, at one update. (B, T) -> (B, T)."""
    return advantages


def gradient_coefficient(advantages: Tensor, logps: Tensor, ref_logps: Tensor | None, beta: float) -> Tensor:
    """GRPO, Eq. 21: A + beta (pi_ref / pi_theta - 1), the factor of grad log pi under Eq. 3's weights at one update.

    Returns:
        (B, T).
    """
    import torch

    if beta == 0.0 or ref_logps is None:
        return advantages
    return advantages + beta * torch.expm1(ref_logps - logps)
