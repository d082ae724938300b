"""What one run of the stage ``rl`` says of itself, whichever trainer it ran on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dsm_repro.config.resolve import has_stage
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.samplers import is_deterministic
from dsm_repro.training.trainer import read_metrics

#: rewards are means over this many first and last steps that sampled anything
REWARD_WINDOW = 10


def run_record(
    ctx: StageContext, method: str, questions: Sequence[Problem], grader_id: str, backend: str | None
) -> dict[str, Any]:
    """Steps, budget, rewards and the alarm, from the metrics of the steps and the cost.

    ``backend`` is the sandbox's, where the policy wrote programs. How many questions were explored is said where they
    were chosen (``difficulty``); else it is ``rl.questions``.
    """
    config, lines = ctx.config, read_metrics(ctx)
    sampled = [line for line in lines if line["completions"]]
    rewards = [line["reward_mean"] for line in sampled]
    first, last = rewards[:REWARD_WINDOW], rewards[-REWARD_WINDOW:]
    return {
        "method": method,
        "steps": lines[-1]["step"],
        "flops": {**ctx.cost.flops, "total": ctx.cost.total_flops},
        "tokens_generated": ctx.cost.tokens["generate"],
        "tokens_trained": ctx.cost.tokens["train"],
        "stopped_by": config.rl.budget.unit,
        "deterministic": is_deterministic(config.rl),
        "budget": asdict(config.rl.budget),
        "reward": {"first": sum(first) / len(first), "last": sum(last) / len(last), "window": len(last)},
        "grader": grader_id,
        **({} if backend is None else {"sandbox": backend}),
        **({"questions": len(questions)} if has_stage(config, "difficulty") else {}),
        "alarm": _alarm(sampled, config.reward.max_ungradable),
    }


def _alarm(lines: Sequence[dict[str, Any]], limit: float) -> dict[str, Any] | None:
    """The steps in which more than the share ``limit`` of the answers could not be graded; None if there is none."""
    shares = [(line["ungradable"] / line["completions"], line["step"]) for line in lines]
    alarming = [(share, step) for share, step in shares if share > limit]
    if not alarming:
        return None
    worst, step = max(alarming)
    return {
        "what": "ungradable answers",
        "limit": limit,
        "steps": len(alarming),
        "worst_share": worst,
        "worst_step": step,
    }
