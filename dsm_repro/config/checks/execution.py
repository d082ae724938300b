"""Can the work be done as ``execution`` says, up to the stage ``until``?"""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.checks.words import at_least, one_of, positive
from dsm_repro.config.resolve import STAGE_ORDER, has_stage
from dsm_repro.config.schema import TRACKERS, Config


def check_until(config: Config) -> Iterator[str]:
    if config.until is None:
        return
    yield from one_of("until", config.until, STAGE_ORDER)
    if config.until in STAGE_ORDER and not has_stage(config, config.until):
        yield f"until={config.until}: this arm has no such stage. Switch the stage on, or choose an earlier one."


def check_execution(config: Config) -> Iterator[str]:
    part = config.execution
    if part.workers is not None:
        yield from at_least("execution.workers", part.workers, 1)
    yield from at_least("execution.micro_batch", part.micro_batch, 1)
    if part.sampling_rows is not None:
        yield from at_least("execution.sampling_rows", part.sampling_rows, 1)
    yield from positive("execution.checkpoint_seconds", part.checkpoint_seconds)
    for name in ("memory_bytes", "peak_flops", "utilisation", "decoding_utilisation"):
        value = getattr(part.hardware, name)
        if value is not None:
            yield from positive(f"execution.hardware.{name}", value)
    yield from one_of("execution.shards.runner", part.shards.runner, ("pool", "datatrove"))
    yield from one_of("execution.shards.executor", part.shards.executor, ("local", "slurm", "ray"))
    yield from at_least("execution.shards.shard_bytes", part.shards.shard_bytes, 1)
    yield from at_least("execution.shards.memory_bytes", part.shards.memory_bytes, 1_000_000, "one megabyte")
    yield from one_of("tracker.name", config.tracker.name, TRACKERS)
