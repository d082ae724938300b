"""What a PPO step costs beside a GRPO step, in FLOPs and in seconds: measured, and as the budget computes it.

    python benchmarks/ppo_step.py [--hidden 96] [--limit 48] [--steps 9] [--threads 1]

Both start from the same weights and have the same prompts, completions (the noise of a step is a function of seed and
step), reward, 16 questions x 8 completions, one update of all of them, and a reference policy. They differ in the
critic, as rl=ppo and rl=grpo do.

FLOPs: torch's counter over one whole step of each trainer (sampling, reference, critic, update). It counts nothing for
the fused attention kernel of a CPU, so attention runs through the plain one while it counts. It sees padding, which
the budget does not count. Seconds: the trainers run in turn, step by step, in one process; medians, and ratios of
neighbours. The first step of each is not counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from _rl_turns import Player
from _rl_world import World, _quiet, _reward_for_ours, shape_of
from rich.console import Console
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from dsm_repro.rl import estimators
from dsm_repro.rl.arguments import grpo_config
from dsm_repro.rl.critic import Critic
from dsm_repro.rl.exploration import Task
from dsm_repro.rl.rollouts import sample
from dsm_repro.rl.trainer import PolicyGradientTrainer
from dsm_repro.training.models import load_model

METHODS = ("grpo", "ppo")


def trainer_of(world: World, method: str, name: str, callback: TrainerCallback) -> PolicyGradientTrainer:
    """The trainer that ``rl=method`` runs, on ``world``."""
    rl = replace(world.rl, method=method, options={})
    estimator = estimators.build(rl)
    critic = reference = None
    if estimator.needs_critic:
        critic = Critic(load_model(world.folder, "float32", "cpu").base_model)
    if estimator.loss_kl_coefficient == 0.0:
        reference = load_model(world.folder, "float32", "cpu").requires_grad_(False)
    args = grpo_config(rl, estimator.loss_kl_coefficient, world.dtype, "cpu", 0, world.scratch / name)
    trainer = PolicyGradientTrainer(
        load_model(world.folder, "float32", "cpu"), world.tokenizer, args, rl,
        Task(world.problems, world.prompts, _reward_for_ours, sample), estimator, critic, reference, 10_000,
        lambda step, metrics, flops: False, lambda folder: None,
    )  # fmt: skip
    return _quiet(trainer, callback)  # type: ignore[no-any-return]


def count(world: World, method: str) -> tuple[float, dict[str, float]]:
    """FLOPs of one step: as torch counts them, and by purpose as the budget does."""
    trainer = trainer_of(world, method, f"{method}-counted", TrainerCallback())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        trainer.training_step(trainer.model, None)
    return float(counter.get_total_flops()), trainer.spent


def time_steps(world: World, steps: int, threads: int) -> dict[str, list[float]]:
    """Seconds of each step, in turn."""
    players = {method: Player(method, threads) for method in METHODS}
    for method, player in players.items():
        player.start(trainer_of(world, method, f"{method}-timed", player))
    for _ in range(1 + steps):
        for player in players.values():
            player.play()
    for player in players.values():
        player.stop()
    return {method: [step.total for step in player.steps[1 : 1 + steps]] for method, player in players.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=96, help="96 is the mini policy")
    parser.add_argument("--limit", type=int, default=48, help="tokens of a completion at most")
    parser.add_argument("--steps", type=int, default=9, help="counted pairs of steps")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    shape = shape_of(options.hidden)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.threads} thread(s)")
    with tempfile.TemporaryDirectory() as scratch:
        world = World(shape, options.limit, "float32", Path(scratch))
        counted = {method: count(world, method) for method in METHODS}
        seconds = time_steps(world, options.steps, options.threads)
    table = Table(title=f"one step, {shape.name} ({world.parameters / 1e6:.2f}M), {options.limit} tokens")
    purposes = list(counted["ppo"][1])
    for heading in ("", "counted, GFLOP", "computed", *purposes, "seconds"):
        table.add_column(heading, justify="right" if heading else "left")
    for method in METHODS:
        total, spent = counted[method]
        parts = [f"{spent.get(purpose, 0.0) / 1e9:.2f}" for purpose in purposes]
        computed = sum(spent.values())
        table.add_row(method, f"{total / 1e9:.2f}", f"{computed / 1e9:.2f}", *parts, f"{median(seconds[method]):.3f}")
    (grpo, by_grpo), (ppo, by_ppo) = counted["grpo"], counted["ppo"]
    ratios = sorted(b / a for a, b in zip(seconds["grpo"], seconds["ppo"], strict=True))
    table.add_row(
        "ppo / grpo", f"{ppo / grpo:.3f}", f"{sum(by_ppo.values()) / sum(by_grpo.values()):.3f}", *[""] * len(purposes),
        f"{median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})",
    )  # fmt: skip
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
