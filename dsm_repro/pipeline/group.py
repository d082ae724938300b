"""One stage in several processes: started together by torchrun, watched from here.

The process that runs the stage holds its lock, prepares its folders and publishes; its members do the work
(:mod:`~dsm_repro.pipeline.member`). The first of them writes to the artifact, the others nowhere but into checkpoints.
One that fails ends all, and its traceback is the stage's.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config import errors
from dsm_repro.config.errors import DsmError
from dsm_repro.config.execution_schema import ExecutionConfig
from dsm_repro.pipeline.cost import Cost
from dsm_repro.pipeline.preemption import Preempted, Watch

if TYPE_CHECKING:
    from dsm_repro.pipeline.worker import Spec

#: in the stage's staging folder
FOLDER = "group"
#: seconds between two looks at a running group
POLL = 0.1
#: seconds that the others have once a member has said that it failed; torchrun would give them thirty
GRACE = 2.0
#: added to a signal's number, as shells do, in the status of an agent one of whose members was ended by it
SIGNALLED = 128


class OtherProcessError(DsmError):
    """Another process of the group failed, and says itself why."""


class MemberError(Exception):
    """An error of a member; its class has the name of the original's."""


class _Traceback(Exception):  # noqa: N818 - shown as the cause of the error that it belongs to
    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def how_it_ended(code: int) -> str:
    """A process' exit status in words; a signal's number is negative, as :mod:`subprocess` has it, or on top of
    ``SIGNALLED``.
    """
    number = -code if code < 0 else code - SIGNALLED
    if number not in set(signal.Signals):
        return f"ended with status {code}"
    reason = " (out of memory is the usual reason)" if number == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(number).name}{reason}"


@dataclass(frozen=True)
class Group:
    """The files by which a stage's process and its members speak with each other."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def stop(self) -> Path:
        """There: save and end."""
        return self.folder / "stop"

    @property
    def cost(self) -> Path:
        return self.folder / "cost.json"

    def out(self, rank: int) -> Path:
        """What a process other than the first has for an artifact."""
        return self.folder / f"out-{rank}"

    def error(self, rank: int) -> Path:
        return self.folder / f"error-{rank}.json"

    def errors(self) -> list[Path]:
        return list(self.folder.glob("error-*.json"))

    def first_error(self) -> Exception | None:
        """That of the member which failed first; the others fail because they miss it."""
        notes = [json.loads(path.read_text()) for path in self.errors()]
        notes.sort(key=lambda note: (note["type"] == OtherProcessError.__name__, note["time"]))
        return _raised_here(notes[0]) if notes else None


def _raised_here(note: Mapping[str, Any]) -> Exception:
    kind = Preempted if note["type"] == Preempted.__name__ else getattr(errors, note["type"], None)
    if kind is None:
        kind = type(note["type"], (MemberError, DsmError) if note["actionable"] else (MemberError,), {})
    error: Exception = kind(note["message"])
    error.__cause__ = _Traceback(note["traceback"])
    return error


def run(spec: Spec, staging: Path, execution: ExecutionConfig, watch: Watch) -> Cost:
    """Run the stage of ``spec`` in the processes that ``execution`` asks for; returns what they spent.

    Raises the error of the member that failed first, or :class:`Preempted`.
    """
    group = Group(staging / FOLDER)
    shutil.rmtree(group.folder, ignore_errors=True)
    group.folder.mkdir()
    threads = max(1, spec.threads // execution.processes)
    replace(spec, threads=threads).write(group.spec)
    # the members save and end by themselves
    watch.patient = True
    process = subprocess.Popen(
        [*command(execution, spec.key), "-m", "dsm_repro.pipeline.member", str(group.spec)],
        # a library that loads before the member can say so takes as many threads as there are cores
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        # Ctrl-C at the terminal is this process' to handle
        start_new_session=True,
    )
    try:
        last = math.inf
        while process.poll() is None and time.monotonic() < last:
            if watch.requested:
                group.stop.touch()
            if last == math.inf and group.errors():
                last = time.monotonic() + GRACE
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    error = group.first_error()
    if error is not None:
        raise error
    if process.returncode or not group.cost.exists():
        raise MemberError(
            f"a process that shared the stage {how_it_ended(process.returncode)} and did not say why. Run the same "
            "command again to go on from the last checkpoint; if memory is short, with a smaller execution.micro_batch."
        )
    return Cost(**json.loads(group.cost.read_text()))


def command(execution: ExecutionConfig, name: str) -> list[str]:
    """What starts the members, but for the module that they run."""
    agent = [sys.executable, "-m", "dsm_repro.pipeline.agent", "--max-restarts", "0"]
    processes = ["--nproc-per-node", str(execution.processes)]
    if execution.nodes == 1:
        return [*agent, *processes, "--standalone"]
    place = execution.rendezvous or f"{socket.gethostname()}:{_free_port()}"
    meeting = ["--nnodes", str(execution.nodes), "--rdzv-backend", "c10d", "--rdzv-endpoint", place, "--rdzv-id", name]
    return [*execution.node_command, *agent, *processes, *meeting]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
