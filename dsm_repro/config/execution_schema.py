"""``execution``: how the work is done, not what it is. Nothing here is ever part of an identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dsm_repro.config.generation_schema import GenerationConfig

#: how several processes hold a model that they train together
SHARDINGS = ("none", "zero1", "fsdp2", "zero3")
#: those that cut up the weights too
CUT_WEIGHTS = ("fsdp2", "zero3")


@dataclass
class ShardsConfig:
    """How curation is cut up and spread; the pages that come out do not depend on it."""

    #: pool (processes of this machine) | datatrove (its executors, for Slurm and Ray)
    runner: str = "pool"
    #: input files are taken together until they reach this size
    shard_bytes: int = 64_000_000
    #: what a global step (URL and near-duplicate detection) may hold in memory
    memory_bytes: int = 1_000_000_000
    #: runner=datatrove: local | slurm | ray, and the executor's own arguments (partition, time, ...)
    executor: str = "local"
    executor_options: dict[str, Any] = field(default_factory=dict)


@dataclass
class HardwareConfig:
    """One device that stages run on, as far as it is stated and not asked of the machine."""

    name: str | None = None
    #: whether a GPU of this machine, or its memory on a CPU, takes the place of what is stated: false where the stages
    #: run elsewhere (on a cluster) or the machine is not to be believed
    ask: bool = True
    memory_bytes: float | None = None
    #: FLOP/s of dense products in bfloat16
    peak_flops: float | None = None
    #: shares of it that training, and writing token by token, are assumed to reach
    utilisation: float = 0.3
    decoding_utilisation: float = 0.05


@dataclass
class ExecutionConfig:
    device: str = "auto"
    #: stages at once (None: one per core, at most 2)
    workers: int | None = None
    #: completions or rows in one forward pass
    micro_batch: int = 256
    #: completions that reinforcement learning writes at once (None: all of an exploration stage). What is drawn does
    #: not depend on it beyond floating-point noise
    sampling_rows: int | None = None
    checkpoint_seconds: float = 60.0
    #: processes on each node that share a training stage: one for each GPU. Batches stay what they are
    processes: int = 1
    #: none: all of it in each process | zero1: the optimiser cut up among them | fsdp2, zero3: weights and gradients
    #: too
    sharding: str = "none"
    nodes: int = 1
    #: nodes > 1: a command that starts once on each node what follows it (srun --nodes=2 --ntasks-per-node=1)
    node_command: list[str] = field(default_factory=list)
    #: nodes > 1: HOST:PORT at which their processes meet; empty: this machine and a free port
    rendezvous: str = ""
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    shards: ShardsConfig = field(default_factory=ShardsConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)

    @property
    def processes_in_all(self) -> int:
        return self.processes * self.nodes
