"""Can the work of the training stages be shared by the processes that ``execution`` asks for?"""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.execution_schema import CUT_WEIGHTS, SHARDINGS
from dsm_repro.config.resolve import has_stage
from dsm_repro.config.schema import Config

#: stages that train by transformers' Trainer, in order; what comes after them keeps whole weights in each process
SHARDED_STAGES = ("base", "prior", "pretrain", "sft")


def sharing_faults(config: Config) -> Iterator[str]:
    """Messages, each with the key, the value and the fix; none for one process."""
    part = config.execution
    for key in ("processes", "nodes"):
        if getattr(part, key) < 1:
            yield f"execution.{key}={getattr(part, key)}: must be at least 1."
            return
    if part.sharding not in SHARDINGS:
        yield f"execution.sharding={part.sharding}: unknown. Use one of {', '.join(SHARDINGS)}."
    if part.nodes > 1 and not part.node_command:
        yield (
            f"execution.nodes={part.nodes}: nothing says how processes are started on the other nodes. Set "
            "execution.node_command, or execution=nodes, which uses srun."
        )
    if part.sharding != "none":
        yield from _sharding(config)
    if part.processes_in_all > 1:
        yield from _questions(config)


def _sharding(config: Config) -> Iterator[str]:
    part = config.execution
    if part.processes_in_all == 1:
        yield (
            f"execution.sharding={part.sharding}: one process has nothing to share. Set execution.processes to the "
            "number of GPUs, or execution.sharding=none."
        )
    last = config.until in ("crawl", "corpus", *SHARDED_STAGES)
    if part.sharding in CUT_WEIGHTS and has_stage(config, "rl") and not last:
        yield (
            f"execution.sharding={part.sharding}: the stages of reinforcement learning keep whole weights in each "
            "process. Run as far as until=sft with it; then without until and with execution=zero1 (the optimiser cut "
            "up) or ddp, which finds what is made, since execution is part of no key."
        )


def _questions(config: Config) -> Iterator[str]:
    """Rows of a batch are filled up until they can be shared; questions are drawn from, and are not."""
    count, size = config.execution.processes_in_all, config.rl.questions_per_step
    # preference pairs are learned from in one process
    if config.rl.method not in ("none", "dpo") and size % count:
        yield (
            f"rl.questions_per_step={size}: cannot be shared equally by {count} processes (execution.processes × "
            f"execution.nodes). Make it a multiple of {count}, or start fewer."
        )
