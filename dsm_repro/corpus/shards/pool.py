"""The default runner: processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from dsm_repro.corpus.shards.step import OnShard, Shard, Step, publish


@dataclass(frozen=True)
class PoolRunner:
    """``workers`` processes; with one, the work is done in this process."""

    workers: int = 1

    def __call__(self, step: Step, shards: Sequence[Shard], folder: Path, on_shard: OnShard) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        on_shard(0, len(shards))
        if self.workers <= 1 or len(shards) == 1:
            for done, shard in enumerate(shards, 1):
                publish(step, shard, folder)
                on_shard(done, len(shards))
            return
        # spawn: a fork of a process with running threads can hang
        with ProcessPoolExecutor(min(self.workers, len(shards)), mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(publish, step, shard, folder) for shard in shards]
            try:
                for done, future in enumerate(as_completed(waiting), 1):
                    future.result()
                    on_shard(done, len(shards))
            finally:
                # after an error the shards that have not begun are not worth beginning
                pool.shutdown(wait=True, cancel_futures=True)
