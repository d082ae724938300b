"""One stage, run once: ``python -m dsm_repro.pipeline.worker SPEC.json``.

In-process, joblib, Slurm and Ray all end in :func:`run_spec`, so a stage behaves the same everywhere.

What a stage may rely on (see :class:`~dsm_repro.pipeline.stage.StageContext`):

* ``ctx.parents`` were compared with their digests just before the run.
* ``ctx.scratch`` and ``ctx.out`` belong to this key alone and survive a kill or an error (of a full disk,
  ``out`` only beside a checkpoint). The next run finds ``scratch`` as it was. It finds ``out`` as it was
  only if ``scratch/resume.json`` is there: a stage that keeps checkpoints writes that file (atomically,
  after the checkpoint) to say "what is in scratch is enough to go on". Without it ``out`` starts empty;
  with one that cannot be read, both do. A resuming stage drops what the killed run wrote after the
  checkpoint (``ctx.rewind_metrics``) and overwrites the rest of ``out``.
* ``ctx.preemption`` says whether to save and end soon (:mod:`~dsm_repro.pipeline.preemption`).
* Of several processes (``Stage.shared``, ``execution.processes``) each runs the stage; ``ctx.scratch`` is theirs
  together, and ``ctx.out`` the artifact in the first one only (:mod:`~dsm_repro.pipeline.member`).
* ``ctx.cost`` starts empty. A resuming stage puts back what its checkpoint recorded, ``seconds``
  included; the worker adds the seconds of this run.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dsm_repro.config.container import from_container
from dsm_repro.config.errors import ConfigError, DataError, DiskFullError, DsmError, StoreError
from dsm_repro.config.schema import Config
from dsm_repro.pipeline import group, provenance
from dsm_repro.pipeline.cost import Cost
from dsm_repro.pipeline.identity import description, digest_of, key_of
from dsm_repro.pipeline.preemption import EXIT_CODE, Preempted, Watch, heeded, watching
from dsm_repro.pipeline.progress import ProgressWriter
from dsm_repro.pipeline.stage import Stage, StageContext
from dsm_repro.pipeline.staging import Staging
from dsm_repro.pipeline.store import FULL_DISK_ERRNOS, Store, disk_full, explained, write_text
from dsm_repro.pipeline.tracker import tracked

#: what numerical libraries read when they are loaded
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
RESUME = "resume.json"
#: a disk with less room than this is called full when a library hides the errno of its failed write
FULL_DISK_BYTES = 1024 * 1024
#: more than an error with its traceback takes
RESERVE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Spec:
    """One stage to run, as it travels to a worker."""

    stage: str
    #: "package.module:NAME" of the :class:`Stage`
    import_path: str
    key: str
    #: the composed config (``config.container.to_container``)
    config: dict[str, Any]
    #: parent stage name -> its key
    parents: dict[str, str] = field(default_factory=dict)
    store: str = "store"
    threads: int = 1
    #: a file that says, once it is there, that the stage is to save and end
    stop: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str, source: str = "spec") -> Spec:
        """Raises :class:`ConfigError` naming ``source`` for text that is not a spec."""
        try:
            value = json.loads(text)
            unknown = value.keys() - {f.name for f in fields(cls)}
            if unknown:
                raise ValueError(f"unknown fields {sorted(unknown)}")
            return cls(**value)
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{source}: not a worker spec ({error}). Start stages through `dsm run`.") from error

    def write(self, path: str | Path) -> None:
        write_text(Path(path), self.to_json())

    @classmethod
    def read(cls, path: str | Path) -> Spec:
        """Raises :class:`DataError` for a file that cannot be read, :class:`ConfigError` for one that is no spec."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: cannot read the worker's spec ({error.strerror}). Give its path.") from error
        return cls.from_json(text, str(path))


def load_stage(import_path: str) -> Stage:
    """The :class:`Stage` named by "package.module:NAME". Raises :class:`ConfigError` if there is none."""
    module, _, name = import_path.partition(":")
    try:
        stage = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the stage is there and lacks a library: its own message says which
        raise ConfigError(f"import_path={import_path}: no such module. Name the stage's module.") from error
    if not isinstance(stage, Stage):
        raise ConfigError(f"import_path={import_path}: names no Stage. Write it as package.module:NAME.")
    return stage


def run_spec(spec: Spec) -> str:
    """Make the artifact that ``spec`` describes, unless the store has it: returns "done" or "hit".

    Safe against other processes at the same key (one runs, the others wait and hit). An error is
    written to ``<staging>/error.json`` and raised again; so is :class:`Preempted`, if the process is told to end.
    """
    store = Store(spec.store)
    staging = store.staging(spec.stage, spec.key)
    # first without the lock: a finished store may be read-only
    if store.has(spec.stage, spec.key) and not staging.path.exists():
        return "hit"
    stop = Path(spec.stop) if spec.stop else None
    with watching(stop) as watch, store.lock(spec.stage, spec.key, watch.check) as staging:
        if store.has(spec.stage, spec.key):
            store.clear_staging(spec.stage, spec.key)
            return "hit"
        try:
            with heeded():
                _make(spec, store, staging, watch)
        except Exception as error:
            shown = _acted_on(error, store)
            if isinstance(shown, DiskFullError):
                _make_room(staging)
            write_error(staging, shown)
            if shown is error:
                raise
            raise shown from error
    return "done"


def _make(spec: Spec, store: Store, staging: Staging, watch: Watch) -> None:
    with explained(staging.path):
        staging.path.mkdir(parents=True, exist_ok=True)
        staging.error.unlink(missing_ok=True)
        staging.reserve.write_bytes(bytes(RESERVE_BYTES))
    watch.check()
    if store.path(spec.stage, spec.key).exists():
        store.set_aside(spec.stage, spec.key)
    use_threads(spec.threads)
    stage, config = load_stage(spec.import_path), from_container(spec.config)
    told = description(stage, config, spec.parents)
    if key_of(told) != spec.key:
        raise DataError(
            f"stage {spec.stage}: planned under the key {spec.key}, but config, code and input files now give "
            f"{key_of(told)}. An input file or the stage's version changed in between: run the command again."
        )
    parents = {name: _checked_parent(store, name, key) for name, key in spec.parents.items()}
    with explained(staging.path):
        _prepare(staging)
    processes = config.execution.processes_in_all if stage.shared(config) else 1
    started, clock = datetime.now(UTC), time.monotonic()
    if processes > 1:
        with explained(staging.path):
            cost = group.run(spec, staging.path, config.execution, watch)
    else:
        with ProgressWriter(store.root, spec.stage, spec.key) as progress:
            ctx = StageContext(config, staging.out, staging.scratch, parents, spec.threads, Cost(), progress, watch)
            with tracked(config.tracker):
                stage.run(ctx)
        cost = ctx.cost
    seconds = time.monotonic() - clock
    cost.seconds += seconds
    with explained(staging.path):
        (staging.out / "cost.json").write_text(json.dumps(cost.state(), indent=1, sort_keys=True))
    manifest = {
        **told,
        "key": spec.key,
        "digest": digest_of(told),
        "git": provenance.git_commit(),
        "lock": provenance.lock_digest(),
        "libraries": provenance.libraries(),
        "hardware": provenance.hardware(),
        "seeds": _seeds(config),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "threads": spec.threads,
        "processes": processes,
    }
    store.publish(spec.stage, spec.key, manifest)


def use_threads(threads: int) -> None:
    """Give numerical libraries this many threads: by environment if they load later, by call if torch is here.

    torch may be loaded by the stage itself, so its module is not imported here only to be told.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _checked_parent(store: Store, stage: str, key: str) -> Path:
    """The parent's artifact, compared with its digests; a damaged one is set aside, so that the next run remakes it."""
    try:
        store.verify(stage, key)
    except StoreError:
        with store.lock(stage, key):
            try:
                store.verify(stage, key)  # by now another process may have made it anew
            except StoreError:
                if store.path(stage, key).exists():
                    store.set_aside(stage, key)
                raise
    return store.path(stage, key)


def _prepare(staging: Staging) -> None:
    """The folders a stage starts from: see the resume rule at the top of this module."""
    resume = staging.scratch / RESUME
    try:
        json.loads(resume.read_bytes())
    except (FileNotFoundError, ValueError):
        stale = [staging.out, staging.scratch] if resume.exists() else [staging.out]
        for folder in stale:
            if folder.exists():
                shutil.rmtree(folder)
    staging.out.mkdir(exist_ok=True)
    staging.scratch.mkdir(exist_ok=True)


def _seeds(config: Config) -> dict[str, int]:
    return {"seed": config.seed, **asdict(config.seeds)}


def _acted_on(error: Exception, store: Store) -> Exception:
    """A full disk, under whatever name a library gives it, as the error that says what to do; others as they are."""
    if isinstance(error, DsmError):
        return error
    told = (isinstance(error, OSError) and error.errno in FULL_DISK_ERRNOS) or "No space left on device" in str(error)
    if told or shutil.disk_usage(store.root).free < FULL_DISK_BYTES:
        where = error.filename if isinstance(error, OSError) and error.filename else store.root
        return disk_full(Path(where), ended=f" (The stage ended with {type(error).__name__}: {error})")
    return error


def _make_room(staging: Staging) -> None:
    """Delete output that no run will go on from, since other stages may need its room."""
    if not (staging.scratch / RESUME).exists():
        # what cannot be deleted is no news beside the full disk, and the next run tries again
        shutil.rmtree(staging.out, ignore_errors=True)


def write_error(staging: Staging, error: Exception) -> bool:
    """Note in the stage's ``error.json`` why there is no artifact; returns whether that could be written.

    ``actionable``: the message says all that a user needs. ``time`` tells the note from an earlier one like it.
    """
    value = {
        "message": str(error) or type(error).__name__, "type": type(error).__name__,
        "actionable": isinstance(error, DsmError), "traceback": "".join(traceback.format_exception(error)),
        "time": time.time(),
    }  # fmt: skip
    try:  # on a full disk another process may have taken the room for the note
        staging.path.mkdir(parents=True, exist_ok=True)
        staging.reserve.unlink(missing_ok=True)
        write_text(staging.error, json.dumps(value, indent=1))
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Run the stage of one spec file. Returns the exit status: 0, 1 or (preempted) 75 after a message on stderr."""
    if len(arguments) != 1:
        print("usage: python -m dsm_repro.pipeline.worker SPEC.json", file=sys.stderr)
        return 2
    try:
        spec = Spec.read(arguments[0])
        print(f"{spec.stage}/{spec.key}: {run_spec(spec)}")
    except Preempted as told:
        print(told, file=sys.stderr)
        return EXIT_CODE
    except DsmError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
