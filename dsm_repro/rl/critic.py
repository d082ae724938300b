"""The value model of PPO: the policy's architecture with a scalar head, initialised from the SFT model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer

from dsm_repro.rl import objectives
from dsm_repro.rl.batch import Batch, completion_hidden
from dsm_repro.rl.distributed import Processes
from dsm_repro.training.moments import cut_up


class Critic(nn.Module):
    """V_psi of Eq. 1. Position t holds the value of the state in which completion token t is chosen.

    The head starts at zero, so that the first values are 0 and the first advantages are the returns.
    """

    def __init__(self, backbone: PreTrainedModel) -> None:
        super().__init__()
        self.backbone = backbone
        weight = next(backbone.parameters())
        # the head is trained, so it is not held in less than float32
        dtype = torch.promote_types(weight.dtype, torch.float32) if weight.is_floating_point() else torch.float32
        self.head = nn.Linear(backbone.config.hidden_size, 1, dtype=dtype, device=weight.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Tensor:
        """(B, T) values, zero where the policy did not write."""
        values: Tensor = self.head(completion_hidden(self.backbone, batch))[..., 0]
        # under autocast they come in bfloat16; their differences are advantages
        return values.to(self.head.weight.dtype) * batch.written


#: (indices of completions, their values) -> the returns to regress on, at the values' width. Each row may depend on
#: that row's values only, which is what makes one forward pass enough.
Returns = Callable[[Tensor, Tensor], Tensor]


def accumulate(
    critic: Critic,
    batch: Batch,
    micro_batch: int,
    returns_of: Returns,
    backward: Callable[[Tensor], None] = Tensor.backward,
    processes: Processes | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Values of the batch, and the gradient of the value loss, from one forward pass.

    Of several ``processes``, each adds the gradient of its own rows; what is returned is the whole in all.

    Returns:
        values (B, T), returns (B, T), the value loss.
    """
    processes = processes or Processes()
    values = torch.zeros(batch.completion_ids.shape, dtype=critic.head.weight.dtype, device=batch.completion_ids.device)
    returns = torch.zeros_like(values)
    total = values.new_zeros(())
    for index, part in processes.micro_batches(batch, micro_batch):
        predicted = critic(part)
        target = returns_of(index, predicted.detach())
        loss = objectives.value_loss(predicted, target, part.written) * (len(part) / len(batch))
        backward(loss)
        width = predicted.shape[1]
        values[index, :width], returns[index, :width] = predicted.detach(), target
        total += loss.detach()
    # rows of other processes are zero here, so that the sum is theirs
    return processes.total(values), processes.total(returns), processes.total(total)


class Regression:
    """A critic with its optimiser: that of the policy's ``trainer``, at its own rate."""

    def __init__(
        self, critic: Critic, trainer: Trainer, learning_rate: float, processes: Processes, cut_moments: bool = False
    ) -> None:
        self.critic, self.processes = critic.train(), processes
        self.max_grad_norm = trainer.args.max_grad_norm
        kind, options = Trainer.get_optimizer_cls_and_kwargs(trainer.args, critic.backbone)
        decayed = set(trainer.get_decay_parameter_names(critic))
        trained = [(n, p) for n, p in critic.named_parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for n, p in trained if n in decayed],
                "weight_decay": trainer.args.weight_decay,
            },
            {"params": [p for n, p in trained if n not in decayed], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer = kind(groups, **{**options, "lr": learning_rate})
        self.optimizer = cut_up(optimizer) if cut_moments else optimizer

    def step(
        self, batch: Batch, micro_batch: int, returns_of: Returns, context: AbstractContextManager[Any]
    ) -> tuple[Tensor, Tensor, dict[str, float | None]]:
        """One update; values and returns (B, T) from before it, and what it says in the metrics."""
        with context:
            values, returns, loss = accumulate(self.critic, batch, micro_batch, returns_of, processes=self.processes)
        self.processes.add_gradients(self.critic.parameters())
        torch.nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        explained = explained_variance(values, returns, batch.written)
        return values, returns, {"value_loss": float(loss), "explained_variance": explained}

    def save(self, path: Path) -> None:
        torch.save({"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict()}, path)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location=self.critic.head.weight.device, weights_only=True)
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float | None:
    """1 - Var(returns - values) / Var(returns) over completion tokens; None where all returns are equal."""
    kept = mask.bool()
    target, error = returns[kept].double(), (returns - values)[kept].double()
    variance = float(target.var(correction=0))
    return None if variance == 0.0 else 1.0 - float(error.var(correction=0)) / variance
