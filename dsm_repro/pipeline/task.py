"""What a launched job does: one stage, its output in a log, and an error where the sweeper finds it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from dsm_repro.pipeline import apart
from dsm_repro.pipeline.index import PREEMPTED
from dsm_repro.pipeline.preemption import Preempted
from dsm_repro.pipeline.store import Store, explained
from dsm_repro.pipeline.worker import Spec, run_spec, write_error


def spec_path(folder: Path, stage: str, key: str) -> Path:
    """The file of a stage's spec; ``folder`` lies in the store, so that the name alone says where to note an error."""
    return folder / f"{stage}-{key}.json"


def log_path(store_root: Path, stage: str, key: str) -> Path:
    """Where a launched stage's own output goes: libraries talk a lot, and several stages run at once."""
    return store_root / ".logs" / f"{stage}-{key}.log"


def run_task(config: Any) -> str:
    """What a launched job does: run the stage that ``config.worker_spec`` describes.

    Returns "done", "hit", "preempted" or "failed". An error is in the stage's ``error.json`` and stays with its own
    arm. It is raised only where it cannot be noted.
    """
    file = Path(config.worker_spec)
    try:
        return _run(file)
    except Exception as error:
        # from before the stage began: its spec cannot be read, its log not be opened
        store, (stage, _, key) = Store(file.parent.parent), file.stem.rpartition("-")
        if not store.root.is_dir() or not write_error(store.staging(stage, key), error):
            raise
        return "failed"


def _run(file: Path) -> str:
    spec = Spec.read(file)
    log = log_path(Path(spec.store), spec.stage, spec.key)
    if apart.wanted():
        return apart.run(file, spec, log)
    with _output_to(log):
        try:
            return run_spec(spec)
        except Preempted as told:
            print(told, file=sys.stderr)
            return PREEMPTED
        except Exception:  # run_spec has recorded it; the sweeper reads it from there
            traceback.print_exc()
            return "failed"


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what this process and its children write to stdout and stderr to a file.

    Python's own streams and the descriptors beneath them: compiled libraries write to the latter.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("a", encoding="utf-8")
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        with log, redirect_stdout(log), redirect_stderr(log):
            yield
    finally:
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
