"""Whether a stage fits into the memory it is to run in, and what to change where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.device import Device, kind_of, machine_memory
from dsm_repro.pipeline.memory import MemoryParts
from dsm_repro.pipeline.stage import Estimate

#: numbers of processes that are tried where one device is too small
PROCESSES = (2, 4, 8, 16, 32, 64)

#: stages that obey ``tuning``, and those that several processes can share
TUNED = ("sft", "rl")
#: stages that write ``sampling_rows`` completions at once, of a section of their own
DRAWS_ROWS = ("difficulty", "reward_model")
SHARED = ("base", "prior", "pretrain", "sft", "rl")

Estimator = Callable[[Config], Estimate]


@dataclass(frozen=True)
class Misfit:
    """What cannot run as it is configured. ``what`` names it; ``advice`` is what would make it fit."""

    what: str
    needed: float
    available: float
    where: str
    parts: MemoryParts | None
    advice: tuple[str, ...]

    @property
    def sentence(self) -> str:
        at = f", at its {self.parts.phase}: {listed(self.parts)}" if self.parts is not None else ""
        return (
            f"{self.what} needs {gigabytes(self.needed)} and {self.where} has {gigabytes(self.available)}{at}. "
            f"{_alternatives(self.advice)}"
        )


def gigabytes(size: float) -> str:
    """10⁹ bytes, to three figures."""
    return f"{size / 1e9:.3g} GB" if size < 1e12 else f"{size / 1e9:.0f} GB"


def listed(parts: MemoryParts) -> str:
    """Every part with its size, largest first."""
    return ", ".join(f"{name.replace('_', ' ')} {gigabytes(size)}" for name, size in parts.parts().items())


def needed(parts: MemoryParts, expected: Estimate, device: Device) -> float:
    """Bytes that a stage takes of the memory that it is held against: processes on a CPU share the machine's."""
    return parts.total * (expected.devices if device.kind == "cpu" else 1)


def of_stage(stage: str, config: Config, estimate: Estimator, device: Device) -> Misfit | None:
    """The stage, where one of its processes needs more than it can have; None where it fits or nobody knows.

    A stage without a device needs memory of the machine.
    """
    expected = estimate(config)
    parts = expected.memory
    if parts is None:
        available = machine_memory() if config.execution.hardware.ask else None
        if available is None or expected.memory_bytes <= available:
            return None
        advice = (f"use a machine of {gigabytes(expected.memory_bytes)} or more",)
        return Misfit(stage, expected.memory_bytes, available, "this machine", None, advice)
    limit, total = device.memory_bytes, needed(parts, expected, device)
    if limit is None or total <= limit:
        return None
    # the first of each kind is the smallest change
    kinds: dict[str, str] = {}
    for change, changed in _changes(stage, config):
        kind = " ".join(word.partition("=")[0] for word in change.split())
        if kind not in kinds and _fits(estimate, changed, device):
            kinds[kind] = change
    # a part of it may be enough alone
    words = [set(change.split()) for change in kinds.values()]
    changes = [change for change in kinds.values() if not any(set(change.split()) > part for part in words)]
    larger = "a machine" if device.kind == "cpu" else "a device"
    found = (*(f"set {change}" for change in changes), f"use {larger} of {gigabytes(total)} or more")
    return Misfit(stage, total, limit, device.name, parts, found)


def at_once(peaks: Sequence[tuple[str, float]], workers: int, available: float | None) -> Misfit | None:
    """Stages of one wave (name, bytes) that fit one by one, but not ``workers`` of them side by side."""
    largest = sorted(peaks, key=lambda peak: -peak[1])[:workers]
    needed = sum(size for _, size in largest)
    if available is None or needed <= available or len(largest) < 2 or largest[0][1] > available:
        return None
    fitting = max(n for n in range(1, len(largest)) if sum(size for _, size in largest[:n]) <= available)
    what = f"{' and '.join(name for name, _ in largest)} at once"
    return Misfit(what, needed, available, "this machine", None, (f"set execution.workers={fitting}",))


def refuse(misfits: Sequence[str]) -> None:
    """Raises ConfigError where a plan has anything that cannot fit."""
    if misfits:
        lines = [f"memory: {sentence}" for sentence in misfits]
        escape = (
            "(If that is wrong: execution.hardware.ask=false execution.hardware.memory_bytes=… says what there is.)"
        )
        raise ConfigError("\n".join([*lines, escape]))


def _fits(estimate: Estimator, config: Config, device: Device) -> bool:
    try:
        expected = estimate(config)
    except ConfigError:  # a batch that so many processes cannot share
        return False
    parts, limit = expected.memory, device.memory_bytes
    return parts is not None and limit is not None and needed(parts, expected, device) <= limit


def _changes(stage: str, config: Config) -> Iterator[tuple[str, Config]]:
    """Changes that can make a stage smaller, the mildest first, as overrides and as configs."""
    for size in _halves(config.execution.micro_batch):
        yield _change(config, micro_batch=size)
    if stage == "rl" and config.rl.engine == "transformers":
        completions = config.rl.questions_per_step * config.rl.group_size
        for rows in _halves(min(config.execution.sampling_rows or completions, completions)):
            yield _change(config, sampling_rows=rows)
    if stage in DRAWS_ROWS:
        part = getattr(config, stage)
        for rows in _halves(part.sampling_rows, part.samples):
            yield f"{stage}.sampling_rows={rows}", replace(config, **{stage: replace(part, sampling_rows=rows)})
    if stage in TUNED and config.tuning.method == "full":
        adapters = replace(config, tuning=replace(config.tuning, method="lora"))
        yield "tuning=lora (adapters, another experiment)", adapters
        yield "tuning=lora (adapters, another experiment) execution.micro_batch=1", _change(adapters, micro_batch=1)[1]
    if stage == "rl" and config.rl.engine == "transformers" and kind_of(config.execution) == "cuda":
        engine = replace(config, rl=replace(config.rl, engine="vllm"))
        yield "execution=vllm_colocate", engine
    if stage in SHARED:
        # reinforcement learning keeps whole weights in each process, and so do adapters
        whole = stage == "rl" or config.tuning.method != "full"
        shared: dict[str, Any] = {} if whole else {"sharding": "fsdp2"}
        counts = [n for n in PROCESSES if stage != "rl" or config.rl.questions_per_step % n == 0]
        for count in counts:
            yield _change(config, processes=count, **shared)
        for count in counts:
            yield _change(config, processes=count, **shared, micro_batch=1)
        if stage == "rl" and config.tuning.method == "full":
            for count in counts:
                yield _change(config, processes=count, sharding="zero1")
            for count in counts:
                yield _change(config, processes=count, sharding="zero1", micro_batch=1)


def _halves(size: int, least: int = 1) -> Iterator[int]:
    """Half of ``size``, half of that, and so on, down to ``least``."""
    while (size := size // 2) >= least:
        yield size


def _change(config: Config, **values: Any) -> tuple[str, Config]:
    words = " ".join(f"execution.{key}={value}" for key, value in values.items())
    return words, replace(config, execution=replace(config.execution, **values))


def _alternatives(advice: Sequence[str]) -> str:
    text = "; or ".join(advice)
    return f"{text[:1].upper()}{text[1:]}."
