"""Shards on datatrove's executors (this machine, Slurm, Ray), for a crawl that one machine cannot read.

datatrove spreads the shards; what is done with one is the same :func:`publish` as in our own pool, so
the bytes are the same. Its completion files are not used: they know a rank's number only, and would
take over the output of another configuration.

Not run here: ``slurm`` and ``ray``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.shards.step import OnShard, Shard, Step, is_published, publish

EXECUTORS = {"local": "LocalPipelineExecutor", "slurm": "SlurmPipelineExecutor", "ray": "RayPipelineExecutor"}
SLURM_POLL_SECONDS = 10.0


@dataclass(frozen=True)
class PublishRank:
    """A datatrove pipeline step: rank i publishes the i-th shard. No documents flow through datatrove."""

    step: Step
    shards: tuple[Shard, ...]
    folder: Path

    def __call__(self, data: Iterable[Any] | None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        publish(self.step, self.shards[rank], self.folder)
        return iter(())


@dataclass(frozen=True)
class DatatroveRunner:
    """``executor`` is local | slurm | ray; ``options`` are its own arguments (slurm: time, partition, ...)."""

    executor: str = "local"
    workers: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, step: Step, shards: Sequence[Shard], folder: Path, on_shard: OnShard) -> None:
        """Raises ConfigError without datatrove or with arguments it refuses, DataError where a shard was not made."""
        folder.mkdir(parents=True, exist_ok=True)
        waiting = [shard for shard in shards if not is_published(step, shard, folder)]
        on_shard(len(shards) - len(waiting), len(shards))
        if not waiting:
            return
        executor = self._made(PublishRank(step, tuple(waiting), folder.resolve()), len(waiting), folder / "logs")
        executor.run()
        if self.executor == "slurm":
            self._wait(executor, step, waiting, folder)
        missing = [shard.name for shard in waiting if not is_published(step, shard, folder)]
        if missing:
            raise DataError(
                f"corpus: datatrove ({self.executor}) ended without {len(missing)} of {len(shards)} shards of "
                f"{step.name} ({', '.join(missing[:5])}). Its logs: {folder / 'logs'}. Run the same command again."
            )
        on_shard(len(shards), len(shards))

    def _made(self, pipeline_step: PublishRank, tasks: int, logs: Path) -> Any:
        if self.executor not in EXECUTORS:
            raise ConfigError(f"execution.shards.executor={self.executor}: use one of {', '.join(EXECUTORS)}.")
        try:
            from datatrove import executor as executors
        except ImportError as error:
            raise ConfigError(
                f"execution.shards.runner=datatrove: {error}. Install it (pip install 'dsm-repro[datatrove]'), "
                "or use execution.shards.runner=pool."
            ) from error
        arguments: dict[str, Any] = {"tasks": tasks, "logging_dir": str(logs), "skip_completed": False}
        if self.executor in ("local", "slurm"):
            arguments["workers"] = self.workers
        try:
            return getattr(executors, EXECUTORS[self.executor])(pipeline=[pipeline_step], **arguments | self.options)
        except TypeError as error:
            raise ConfigError(
                f"execution.shards.executor_options={self.options}: {error}. "
                f"Give the arguments of datatrove's {EXECUTORS[self.executor]}."
            ) from error

    def _wait(self, executor: Any, step: Step, waiting: Sequence[Shard], folder: Path) -> None:
        """Until the job array has left the queue."""
        import subprocess

        while not all(is_published(step, shard, folder) for shard in waiting):
            job = str(executor.job_id)
            queue = subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True, text=True, check=False)
            if not queue.stdout.strip():
                return
            time.sleep(SLURM_POLL_SECONDS)
