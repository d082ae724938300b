"""Curation in shards: one step over one shard is a pure function whose output is published atomically."""

from __future__ import annotations

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.execution_schema import ShardsConfig
from dsm_repro.corpus.shards.step import Runner

RUNNERS = ("pool", "datatrove")


def runner(config: ShardsConfig, workers: int) -> Runner:
    """The configured runner with ``workers`` processes. Raises ConfigError for one that there is not."""
    if config.runner == "pool":
        from dsm_repro.corpus.shards.pool import PoolRunner

        return PoolRunner(workers)
    if config.runner == "datatrove":
        from dsm_repro.corpus.shards.datatrove import DatatroveRunner

        return DatatroveRunner(config.executor, workers, dict(config.executor_options))
    raise ConfigError(f"execution.shards.runner={config.runner}: use one of {', '.join(RUNNERS)}.")
