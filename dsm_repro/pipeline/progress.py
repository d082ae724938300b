"""How far each running stage is, as small files that any process can read (the live view, another terminal)."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from dsm_repro.pipeline.store import write_text

FOLDER = ".progress"
#: at most two writes a second: a stage may report thousands of steps a second
MIN_SECONDS_BETWEEN_WRITES = 0.5
#: a process on another host cannot be asked whether it lives, so its file counts this long (seconds)
FOREIGN_STALE_SECONDS = 900.0


class ProgressWriter:
    """Writes one stage's progress; a context manager that removes the file at the end.

    Call it as ``StageContext.on_progress``: ``writer(done, total, unit)``. The file holds ``stage``,
    ``key``, ``done``, ``total``, ``unit``, ``started`` and ``updated`` (seconds since 1970), ``pid``,
    ``host``, and ``first_done`` with ``first_at``: where this run began in this unit, so that the rate
    of a resumed stage is (done - first_done) / (updated - first_at).
    """

    def __init__(self, root: Path, stage: str, key: str) -> None:
        self.path = root / FOLDER / f"{stage}-{key}.json"
        now = time.time()
        self._state: dict[str, Any] = {
            "stage": stage, "key": key, "done": 0.0, "total": 0.0, "unit": "", "started": now, "updated": now,
            "first_done": 0.0, "first_at": now, "pid": os.getpid(), "host": socket.gethostname(),
        }  # fmt: skip
        self._written = -MIN_SECONDS_BETWEEN_WRITES

    def __call__(self, done: float, total: float, unit: str = "steps") -> None:
        """Note how far the stage is; written at most every ``MIN_SECONDS_BETWEEN_WRITES``."""
        now = time.time()
        if unit != self._state["unit"] or done < self._state["done"]:
            self._state |= {"first_done": done, "first_at": now}
        self._state |= {"done": done, "total": total, "unit": unit, "updated": now}
        if time.monotonic() - self._written >= MIN_SECONDS_BETWEEN_WRITES:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        # a live view that cannot be written (full disk) is no reason to end the stage it watches:
        # the stage's own files will say so
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self._state))

    def __enter__(self) -> ProgressWriter:
        self._write()
        # the first real report follows at once
        self._written = -MIN_SECONDS_BETWEEN_WRITES
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def read_progress(root: str | Path) -> list[dict[str, Any]]:
    """The progress of every stage now running on this store, sorted by stage and key.

    Files of processes that were killed are passed over: on this host by asking for the process, for
    another host by age.
    """
    found = []
    for path in sorted((Path(root) / FOLDER).glob("[!.]*.json")):
        try:
            state = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):  # its stage ended just now
            continue
        if isinstance(state, dict) and _alive(state):
            found.append(state)
    return found


def _alive(state: dict[str, Any]) -> bool:
    if state.get("host") != socket.gethostname():
        return time.time() - float(state.get("updated", 0.0)) < FOREIGN_STALE_SECONDS
    try:
        os.kill(int(state["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process, so there is one
        return True
    return True
