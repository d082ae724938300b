"""Can the work of the training stages be shared by the processes that ``execution`` asks for?"""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.execution_schema import SHARDINGS
from dsm_repro.config.resolve import has_stage, resolve_model
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
        yield from _batches(config)


def _sharding(config: Config) -> Iterator[str]:
    part = config.execution
    if part.processes_in_all == 1:
        yield (
            f"execution.sharding={part.sharding}: one process has nothing to share. Set execution.processes to the "
            "number of GPUs, or execution.sharding=none."
        )
    if has_stage(config, "rl") and config.until not in ("crawl", "corpus", *SHARDED_STAGES):
        yield (
            f"execution.sharding={part.sharding}: the stages of reinforcement learning keep whole weights in each "
            "process. Run as far as until=sft with it; then without until and with execution=ddp, which finds what is "
            "made, since execution is part of no key."
        )


def _batches(config: Config) -> Iterator[str]:
    """A batch is the same rows for any number of processes, so each takes an equal share of it."""
    count = config.execution.processes_in_all
    for key, rows, why in _rows(config):
        if rows % count:
            yield (
                f"{key}: a step of {rows} {why} cannot be shared equally by {count} processes (execution.processes × "
                f"execution.nodes). Make it a multiple of {count}, or start fewer."
            )


def _rows(config: Config) -> Iterator[tuple[str, int, str]]:
    try:
        spec = resolve_model(config)
    except ConfigError:
        return  # told by the check of the base model
    if spec.path is None and spec.tiny is not None and spec.tiny.context_length > 0:
        key = f"scale.models.{config.base.role}.tiny.batch_tokens={spec.tiny.batch_tokens}"
        yield key, spec.tiny.batch_tokens // spec.tiny.context_length, "rows"
    if has_stage(config, "pretrain") or has_stage(config, "prior"):
        part = config.pretrain
        if part.sequence_length > 0:
            yield f"pretrain.batch_tokens={part.batch_tokens}", part.batch_tokens // part.sequence_length, "rows"
    if has_stage(config, "sft"):
        yield f"sft.batch_size={config.sft.batch_size}", config.sft.batch_size, "rows"
    # preference pairs are learned from in one process
    if has_stage(config, "rl") and config.rl.method != "dpo":
        size = config.rl.questions_per_step
        yield f"rl.questions_per_step={size}", size, "questions"
