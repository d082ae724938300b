"""The value model of PPO: the policy's architecture with a scalar head, initialised from the SFT model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from dsm_repro.rl import objectives
from dsm_repro.rl.batch import Batch, completion_hidden


class Critic(nn.Module):
    """V_psi of Eq. 1. Position t holds the value of the state in which completion token t is chosen.

    The head starts at zero, so that the first values are 0 and the first advantages are the returns.
    """

    def __init__(self, backbone: PreTrainedModel) -> None:
        super().__init__()
        self.backbone = backbone
        weight = next(backbone.parameters())
        self.head = nn.Linear(backbone.config.hidden_size, 1, dtype=weight.dtype, device=weight.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        """(B, T) values, zero where the policy did not write."""
        values: Tensor = self.head(completion_hidden(self.backbone, batch))[..., 0]
        return values * batch.written


def accumulate(
    critic: Critic,
    batch: Batch,
    micro_batch: int,
    returns_of: Callable[[Tensor, Tensor], Tensor],
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> tuple[Tensor, Tensor, Tensor]:
    """Values of the batch, and the gradient of the value loss, from one forward pass.

    Args:
        returns_of: (indices of completions, their values) -> the returns to regress on. Each row may depend
            on that row's values only, which is what makes one pass enough.

    Returns:
        values (B, T), returns (B, T), the value loss.
    """
    values = torch.zeros(batch.completion_ids.shape, dtype=critic.head.weight.dtype, device=batch.completion_ids.device)
    returns = torch.zeros_like(values)
    total = values.new_zeros(())
    for index, part in batch.micro_batches(micro_batch):
        predicted = critic(part)
        target = returns_of(index, predicted.detach())
        loss = objectives.value_loss(predicted, target, part.written) * (len(part) / len(batch))
        backward(loss)
        width = predicted.shape[1]
        values[index, :width], returns[index, :width] = predicted.detach(), target
        total += loss.detach()
    return values, returns, total


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float | None:
    """1 - Var(returns - values) / Var(returns) over completion tokens; None where all returns are equal."""
    kept = mask.bool()
    target, error = returns[kept].double(), (returns - values)[kept].double()
    variance = float(target.var(correction=0))
    return None if variance == 0.0 else 1.0 - float(error.var(correction=0)) / variance
