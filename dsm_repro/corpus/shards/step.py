"""A step over one shard: computed in a temporary folder, published with a manifest by one rename.

The manifest is tied to everything that decides the output, so a changed configuration never takes
over old shards, and a killed run goes on with those that are whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from dsm_repro.pipeline.identity import canonical_json, file_digest

MANIFEST = "shard.json"


@dataclass(frozen=True)
class Shard:
    """A part of the work: ``inputs`` say what it reads, in order."""

    number: int
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.number:05d}"


class Step(Protocol):
    """A frozen dataclass, so that it can be sent to another process and has a canonical text.

    Its fields are all that decides the output, besides the shard's inputs. Files that it reads beside
    them (a model, an index) are named by fields, together with their digest.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def run(self, shard: Shard, out: Path) -> dict[str, int]:
        """Write the shard's output under ``out``; return counts. Same arguments, same bytes."""
        ...


#: called with the number of shards done and of all
OnShard = Callable[[int, int], None]


class Runner(Protocol):
    """Runs a step over shards, each into ``folder/<shard>``, in any order and on any machine."""

    def __call__(self, step: Step, shards: Sequence[Shard], folder: Path, on_shard: OnShard) -> None: ...


def digest_of(step: Step, shard: Shard) -> str:
    """sha256 of what decides a shard's output: step, version, fields and inputs."""
    said = {"step": step.name, "version": step.version, "fields": asdict(step), "inputs": list(shard.inputs)}  # type: ignore[call-overload]
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def read_counts(folder: Path) -> dict[str, int]:
    """The counts that a published shard's step returned."""
    counts: dict[str, int] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["counts"]
    return counts


def is_published(step: Step, shard: Shard, folder: Path) -> bool:
    """True if the shard's output is there, whole, and of this step on these inputs."""
    place = folder / shard.name
    try:
        manifest: dict[str, Any] = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if manifest.get("digest") != digest_of(step, shard):
        return False
    return all((place / name).is_file() and file_digest(place / name) == sha for name, sha in manifest["files"].items())


def publish(step: Step, shard: Shard, folder: Path) -> None:
    """Run the step on one shard unless its output is there already, and publish it by a rename."""
    if is_published(step, shard, folder):
        return
    place, work = folder / shard.name, folder / f".{shard.name}.{os.getpid()}"
    for leftover in (place, *folder.glob(f".{shard.name}.*")):
        if leftover.exists():
            shutil.rmtree(leftover)
    work.mkdir(parents=True)
    # rensa takes all cores where a shard should take one; read once, so an own value stays
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    counts = step.run(shard, work)
    files = sorted(path for path in work.rglob("*") if path.is_file())
    manifest = {
        "step": step.name,
        "digest": digest_of(step, shard),
        "inputs": list(shard.inputs),
        "counts": counts,
        "files": {path.relative_to(work).as_posix(): file_digest(path) for path in files},
    }
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    for path in [*files, work / MANIFEST, work]:
        _flush(path)
    work.rename(place)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
