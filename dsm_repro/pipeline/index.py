"""The sweep's index, ``<store>/sweeps/<name>/arms.json``: how each arm stands, as it happens.

The report is a pure function of this file and of the records in the store.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dsm_repro.config.compose import Sweep
from dsm_repro.config.container import to_container
from dsm_repro.config.errors import StoreError
from dsm_repro.config.factor import HOW_AND_WHERE
from dsm_repro.pipeline.graph import Graph, Node
from dsm_repro.pipeline.plan import Plan
from dsm_repro.pipeline.store import Store, explained, write_text

HIT, DONE, RUNNING, WAITING, FAILED, BLOCKED = "hit", "done", "running", "waiting", "failed", "blocked"
#: it was told to end and can go on from what it saved
PREEMPTED = "preempted"
FINISHED = (HIT, DONE)

INDEX = "arms.json"


def index_path(store_root: Path, name: str) -> Path:
    return store_root / "sweeps" / name / INDEX


def sweeps_in(store_root: Path) -> list[str]:
    """Names of the sweeps whose index lies in the store, sorted."""
    return sorted(path.parent.name for path in store_root.glob(f"sweeps/*/{INDEX}"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Index:
    """The states of all stages of a sweep; written at every change. Safe to use from two threads."""

    def __init__(self, sweep: Sweep, graph: Graph, store: Store, plan: Plan) -> None:
        self.sweep, self.graph, self.store, self.plan = sweep, graph, store, plan
        self.path = index_path(store.root, sweep.name)
        self.states = {id: HIT if store.has(node.stage, node.key) else WAITING for id, node in graph.nodes.items()}
        self.errors: dict[str, dict[str, str]] = {}
        self.executed = 0
        self._lock = threading.Lock()
        self._previous = read_index(self.path)
        same = [arm["stages"] for arm in self._previous.get("arms", ())] == list(graph.arms)
        self.started = str(self._previous.get("started", _now())) if same else _now()
        self.finished: str | None = None
        #: with nothing to do, a claim in other words does not end anew
        self._ended = self._previous.get("finished") if same and self.all_hit else None

    @property
    def all_hit(self) -> bool:
        return all(state == HIT for state in self.states.values())

    @property
    def all_finished(self) -> bool:
        return all(state in FINISHED for state in self.states.values())

    @property
    def already_complete(self) -> bool:
        """Whether the file on the disk already tells of these very arms, finished: then it is left as it is."""
        told = self._previous
        return (
            self.all_hit
            and bool(told.get("finished"))
            and told.get("sweep") == asdict(self.sweep.claim)
            and [_said(arm) for arm in told["arms"]] == [_said(arm) for arm in self.arms()]
        )

    def set(
        self, node: Node, state: str, error: dict[str, str] | None = None, after: Sequence[str] | None = None
    ) -> bool:
        """Note a state and write the file if it is new; returns whether it was. ``after``: only from one of those."""
        with self._lock:
            now = self.states[node.id]
            if now == state or (after is not None and now not in after):
                return False
            self.states[node.id] = state
            if error is not None:
                self.errors[node.id] = error
            # stages that run are worth more than the file; what it lacks is written at the next change, or at the end
            with suppress(OSError):
                self._write()
            return True

    def begin(self) -> None:
        """Write the index for the first time. Raises StoreError where that cannot be."""
        with self._lock, written(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write()

    def end(self) -> str:
        """Write the index for the last time; ``finished`` is set where every arm is.

        Returns what is to be said where that cannot be, and "" otherwise: an error would hide the one that ended the
        run.
        """
        with self._lock:
            for id, state in self.states.items():
                self.states[id] = WAITING if state == RUNNING else state
            self.finished = (self._ended or _now()) if self.all_finished else None
            try:
                with written(self.path):
                    self._write()
            except StoreError as error:
                return str(error)
        return ""

    def error_of(self, arm: int) -> dict[str, str] | None:
        """What stopped an arm: the error of its first failed stage."""
        for stage, key in self.graph.arms[arm].items():
            if f"{stage}/{key}" in self.errors:
                return self.errors[f"{stage}/{key}"]
        return None

    def arms(self) -> list[dict[str, Any]]:
        return [
            {
                "name": arm.name,
                "seed": arm.seed,
                "overrides": list(arm.overrides),
                "stages": dict(stages),
                "states": {stage: self.states[f"{stage}/{key}"] for stage, key in stages.items()},
                "error": self.error_of(number),
                "config": to_container(arm.config),
            }
            for number, (arm, stages) in enumerate(zip(self.sweep.arms, self.graph.arms, strict=True))
        ]

    def state(self) -> dict[str, Any]:
        """The file's content. ``dedup`` counts unique stages against those of separate runs, and those made now."""
        return {
            "name": self.sweep.name,
            "declared": self.sweep.declared,
            "sweep": asdict(self.sweep.claim),
            "arms": self.arms(),
            "plan": self.plan.state(),
            "dedup": {
                "stages_executed": len(self.graph.nodes),
                "stages_separate": self.graph.separate,
                "stages_executed_now": self.executed,
            },
            "started": self.started,
            "finished": self.finished,
        }

    def _write(self) -> None:
        write_text(self.path, json.dumps(self.state(), indent=1))


def read_index(path: Path) -> dict[str, Any]:
    """The index of an earlier run; empty where there is none, or what is there is none: then it is made anew.

    Raises StoreError where something is there that cannot be read.
    """
    try:
        told = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # that the folder is none is said when the index is written
        return {}
    except OSError as error:
        raise StoreError(
            f"{path}: the sweep's index cannot be read ({error.strerror}). Let this user read it, or move it away: it "
            "is made anew."
        ) from error
    arms = told.get("arms") if isinstance(told, dict) else None
    sound = isinstance(arms, list) and all(
        isinstance(arm, dict) and isinstance(arm.get("stages"), dict) and isinstance(arm.get("config"), dict)
        for arm in arms
    )
    return told if sound else {}


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Whatever keeps a file of the index from being written is a StoreError."""
    try:
        with explained(path):
            yield
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}). Set paths.store (DSM_STORE) to a folder that can."
        ) from error


def _said(arm: dict[str, Any]) -> dict[str, Any]:
    """What an arm's entry says of the result: states, and how and where the work is done, may differ between runs."""
    config = {k: v for k, v in arm.get("config", {}).items() if k not in HOW_AND_WHERE}
    return {**{k: arm.get(k) for k in ("name", "seed", "stages", "error")}, "config": config}
