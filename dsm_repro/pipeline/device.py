"""The device that stages run on, as far as a plan needs it: its memory, and how fast it is assumed to be.

Asked of the machine where it can be (``nvidia-smi``, the operating system), else as ``execution.hardware`` states it.
No torch.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dsm_repro.config.schema import ExecutionConfig
from dsm_repro.pipeline.provenance import cores, hardware

#: FLOP/s assumed of one CPU core in float32
CORE_RATE = 1e10
#: FLOP/s assumed of an accelerator whose peak is not stated
GPU_RATE = 1e14
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Device:
    """``memory_bytes`` is None where nobody says it; ``rate`` and ``decoding_rate`` are FLOP/s, ``said`` what of."""

    kind: str
    name: str
    memory_bytes: float | None
    rate: float
    decoding_rate: float
    said: str


def kind_of(execution: ExecutionConfig) -> str:
    """``cpu`` or ``cuda``; ``auto`` is a GPU where the machine has a driver for one."""
    if execution.device == "auto":
        return "cuda" if shutil.which("nvidia-smi") else "cpu"
    return "cuda" if execution.device.startswith("cuda") else "cpu"


def device_of(execution: ExecutionConfig) -> Device:
    """The device of a config."""
    stated = execution.hardware
    if kind_of(execution) == "cpu":
        memory = machine_memory() if stated.ask else stated.memory_bytes
        rate = CORE_RATE * cores()
        return Device("cpu", "this machine", memory, rate, rate, f"{rate:.0e} FLOP/s")
    asked = _gpu() if stated.ask else None
    name, memory = asked or (stated.name or "GPU", stated.memory_bytes)
    if stated.peak_flops is None:
        return Device("cuda", name, memory, GPU_RATE, GPU_RATE, f"{GPU_RATE:.0e} FLOP/s")
    rate, decoding = stated.peak_flops * stated.utilisation, stated.peak_flops * stated.decoding_utilisation
    said = (
        f"{stated.utilisation:.0%} of {stated.peak_flops / 1e12:.0f} TFLOP/s in training, "
        f"{stated.decoding_utilisation:.0%} where text is written"
    )
    return Device("cuda", name, memory, rate, decoding, said)


def machine_memory() -> float | None:
    """Bytes that processes of this machine may have: its memory, or what its container is limited to."""
    found = [value for value in (hardware()["memory_bytes"], _limit()) if value is not None]
    return float(min(found)) if found else None


def _limit() -> int | None:
    try:
        text = CGROUP_LIMIT.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


@lru_cache(maxsize=1)
def _gpu() -> tuple[str, float] | None:
    """Name and memory of the smallest GPU here; None where ``nvidia-smi`` names none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, check=True, capture_output=True, text=True, timeout=20).stdout.splitlines()
        found = [
            (name.strip(), float(mebibytes) * 2**20) for name, mebibytes in (line.rsplit(",", 1) for line in lines)
        ]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return min(found, key=lambda gpu: gpu[1]) if found else None
