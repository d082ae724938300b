"""Where an artifact was made: commit, library versions, hardware. Facts for the manifest, never part of a key."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import dsm_repro

#: distributions whose version can change a result
LIBRARIES = (
    "dsm-repro", "torch", "transformers", "tokenizers", "safetensors", "trl", "peft", "accelerate", "datasets",
    "numpy", "scipy", "sympy", "math-verify", "latex2sympy2_extended", "lm_eval", "fasttext-community", "datasketch",
    "reasoning-gym", "hydra-core", "omegaconf", "vllm",
)  # fmt: skip


@lru_cache(maxsize=1)
def git_commit() -> str | None:
    """The commit of the source tree that the package runs from, with ``-dirty`` if tracked files were changed.

    None where the package is not tracked by git (installed from a wheel), has no commit, or git is absent.
    """
    package = Path(dsm_repro.__file__).resolve()
    git = ["git", "-C", str(package.parent)]
    try:
        # an environment inside some other repository must not borrow that repository's commit
        subprocess.run([*git, "ls-files", "--error-unmatch", package.name], check=True, capture_output=True, timeout=20)
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            check=True, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


@lru_cache(maxsize=1)
def lock_digest() -> str | None:
    """sha256 of the source tree's ``requirements.lock``; None where there is none (installed from a wheel)."""
    lock = Path(dsm_repro.__file__).resolve().parent.parent / "requirements.lock"
    try:
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    except OSError:
        return None


@lru_cache(maxsize=1)
def _installed() -> tuple[tuple[str, str], ...]:
    found = []
    for name in LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:  # optional, and this machine does without it
            continue
    return tuple(found)


def libraries() -> dict[str, str]:
    """Version of Python and of each installed library that can change a result, without importing any."""
    return {"python": platform.python_version(), **dict(_installed())}


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware() -> dict[str, Any]:
    """CPU model, cores, memory in bytes, platform, and the GPU's name if torch is loaded and sees one."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else None
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_bytes": memory,
        "platform": platform.platform(),
        "gpu": _gpu_name(),
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu_name() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))
