"""Two steps of real trainers in float64, in as many processes as a launcher starts.

    torchrun --nproc-per-node 2 tests/processes/steps_of_processes.py MODEL FOLDER

Each process leaves FOLDER/RANK.pt with what :func:`steps` returns.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "rl"))

import torch
from rl_world import make_config, make_trainer

#: method, its options, updates of one exploration; dapo drops groups, so that shares of rows are not shares of groups
RUNS = (("grpo", {}, 1), ("ppo", {"critic_rate_factor": 1.0}, 2), ("dapo", {"max_draws": 2}, 1))


def steps(model: Path, scratch: Path, method: str, options: dict[str, Any], updates: int) -> dict[str, Any]:
    """Completions, loss and gradient norm of two steps, and the weights after them."""
    config = make_config(method, steps=2)
    config.rl.questions_per_step, config.rl.options, config.rl.updates_per_exploration = 4, options, updates
    trainer = make_trainer(model, scratch, config)
    trainer.explorer.eos_ids = list(range(1, 60))
    told: dict[str, Any] = {"losses": [], "metrics": [], "completions": []}
    step, explore = trainer.training_step, trainer.explore

    def training_step(*arguments: Any) -> torch.Tensor:
        loss = step(*arguments)
        told["losses"].append(loss.item())
        return loss

    def exploring(number: int) -> Any:
        found = explore(number)
        told["completions"].append(found.batch.completion_ids)
        told["metrics"].append(dict(found.metrics))
        return found

    trainer.training_step, trainer.explore = training_step, exploring  # type: ignore[method-assign]
    trainer.on_step = lambda number, metrics, flops: told["metrics"].append({**metrics, **flops})  # type: ignore[assignment,func-returns-value]
    trainer.train()
    told["weights"] = [weight.detach() for weight in trainer.model.parameters()]
    if trainer.regression is not None:
        told["weights"] += [weight.detach() for weight in trainer.regression.critic.parameters()]
    return told


if __name__ == "__main__":
    start, folder = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    torch.save([steps(start, folder / "scratch", *run) for run in RUNS], folder / f"{os.environ['RANK']}.pt")
    torch.distributed.destroy_process_group()
