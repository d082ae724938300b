"""A stage is a pure function from (its part of the config, its parents' artifacts) to an artifact.

The pipeline knows stages only through :class:`Stage`; a stage knows the pipeline only through
:class:`StageContext`. Modules that define a stage import nothing heavy at the top, so that a plan
can be made without torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsm_repro.config.schema import Config
from dsm_repro.pipeline.cost import Cost
from dsm_repro.pipeline.memory import MemoryParts
from dsm_repro.pipeline.preemption import Watch


@dataclass(frozen=True)
class Estimate:
    """What a stage is expected to spend, before it runs."""

    tokens: float = 0.0
    flops: float = 0.0
    #: the part of ``flops`` that writes text token by token, which no device does at its best
    decoding_flops: float = 0.0
    disk_bytes: float = 0.0
    #: of the machine, where the stage has no use for a device
    memory_bytes: float = 0.0
    #: of a device; None where the stage uses none, or the model's shape is not known
    memory: MemoryParts | None = None
    #: devices that work on it together
    devices: int = 1
    #: seconds where FLOPs say nothing (parsing, sandboxed programs), added to FLOPs / rate
    seconds: float = 0.0
    #: questions that an evaluation asks of a model
    questions: int = 0
    #: remarks for the reader of the plan ("clipping is inert at one update per exploration")
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One room of the pipeline.

    ``parents`` gives the names of the stages it reads, for this config; ``identity`` the part of the
    config that changes its result, and nothing else, as plain JSON values; ``inputs`` the files whose
    digests enter the key; ``run`` writes the artifact under ``ctx.out``. ``shared`` says whether several
    processes can do the work of this config together (``execution.processes``): each then calls ``run``.
    """

    name: str
    version: int
    parents: Callable[[Config], tuple[str, ...]]
    identity: Callable[[Config], Any]
    run: Callable[[StageContext], None]
    estimate: Callable[[Config], Estimate] = lambda config: Estimate()
    inputs: Callable[[Config], tuple[Path, ...]] = lambda config: ()
    shared: Callable[[Config], bool] = lambda config: False


class StageEnd(BaseException):
    """Raised by one of several processes that share a stage, not the first: nothing is left for it to do."""


@dataclass
class StageContext:
    """What a running stage sees.

    ``out`` is a temporary sibling of the final artifact: it is published by an atomic rename when
    ``run`` returns. ``scratch`` survives a kill, so checkpoints go there.
    """

    config: Config
    out: Path
    scratch: Path
    #: parent stage name -> its published artifact
    parents: dict[str, Path]
    threads: int = 1
    cost: Cost = field(default_factory=Cost)
    #: called with (done, total, unit); the worker throttles and stores it for the live view
    on_progress: Callable[[float, float, str], None] | None = None
    #: whether to save and end soon; a stage that asks it is patient with signals from then on
    preemption: Watch = field(default_factory=Watch)

    def progress(self, done: float, total: float, unit: str = "steps") -> None:
        """Say how far the stage is; shown as rate and time left."""
        if self.on_progress is not None:
            self.on_progress(done, total, unit)

    def log(self, step: int, **values: float | int | str | None) -> None:
        """Append one line to ``metrics.jsonl``. Values must not depend on wall-clock time."""
        with (self.out / "metrics.jsonl").open("a") as f:
            f.write(json.dumps({"step": step, **values}) + "\n")

    def rewind_metrics(self, step: int) -> None:
        """Drop metric lines after ``step``: called when a killed stage resumes from a checkpoint."""
        path = self.out / "metrics.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            # written in scratch and moved: a kill in the middle must not lose the lines before the checkpoint,
            # nor leave a file in the artifact
            temporary = self.scratch / "metrics.rewound"
            temporary.write_text("".join(line + "\n" for line in kept))
            temporary.replace(path)

    def record(self, value: dict[str, Any]) -> None:
        """Write ``record.json``: the stage's result for the report. No wall-clock times in it."""
        (self.out / "record.json").write_text(json.dumps(value, indent=1, sort_keys=True))

    def now(self) -> float:
        return time.monotonic()
