"""The unified paradigm of §5.2.1: gradient coefficients, the factor of grad log pi in each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def gradient_coefficient(advantages: Tensor, logps: Tensor, ref_logps: Tensor | None, beta: float) -> Tensor:
    """GC of Eq. 21: A + beta (pi_ref / pi_theta - 1), the factor of grad log pi under Eq. 3's weights at one update.

    Returns:
        (B, T).
    """
    if beta == 0.0 or ref_logps is None:
        return advantages
    return advantages + beta * ((ref_logps - logps).exp() - 1.0)
