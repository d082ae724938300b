"""The warm interpreter: ``zygote BACKEND PARENT_PID``. Reads programs, forks a supervisor for each.

It isolates itself before it reads the first program, imports nothing but fixed names, and never executes
model text: programs run two forks further down (see ``supervisor.py``).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from dsm_repro.reasoning import linux
from dsm_repro.reasoning.sandbox import limits, sandlock
from dsm_repro.reasoning.sandbox.root import build_root
from dsm_repro.reasoning.sandbox.supervisor import NOBODY, Limits, run_supervised

_PRELOAD = re.compile(rf"\b({'|'.join(limits.PRELOADABLE)})\b")


def _isolate_userns() -> int:
    """Enter a private network and a minimal read-only root; returns a descriptor of /proc.

    As root, first build everything with root's rights and then become nobody for good: the kernel ignores
    the process limit for the system's root, and a program's user must not be it. As an ordinary user,
    enter a user namespace to be allowed to.
    """
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    namespaces = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        linux.unshare(namespaces)
        build_root()
        _become_nobody()
    else:
        linux.unshare(namespaces | linux.CLONE_NEWUSER)
        linux.map_ids(proc, NOBODY, NOBODY, uid, gid)
        build_root()
    return proc


def _isolate_bwrap() -> int:
    """bubblewrap has built the root and the namespaces around this process already."""
    if os.getuid() == 0:
        _become_nobody()
    return os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # A change of user makes a process's /proc files root's; the namespace maps are written there.
    linux.prctl(linux.PR_SET_DUMPABLE, 1)


def _isolate_sandlock() -> None:
    """Programs are confined, not this process; it only ceases to be root."""
    if os.getuid() == 0:
        _become_nobody()
    sandlock.check()


def _isolate_subprocess() -> None:
    return None


ISOLATE: dict[str, Callable[[], int | None]] = {
    "userns": _isolate_userns,
    "bwrap": _isolate_bwrap,
    "sandlock": _isolate_sandlock,
    "subprocess": _isolate_subprocess,
}


#: what bubblewrap has to show to the zygote and no program should see
HIDDEN = {"bwrap": ("/run", "/proc")}
#: the supervisor itself was killed (memory): its death ended the program
DIED = {"status": "killed", "stdout": "", "error": "the supervisor died\n", "seconds": 0.0}


def _run(request: dict[str, Any], proc: int | None, out: int, memory: int, backend: str) -> None:
    limit = Limits(request["timeout"], memory + request["memory_bytes"], request["output_bytes"])
    zygote = os.getpid()
    supervisor = os.fork()
    if supervisor:
        _, status = os.waitpid(supervisor, 0)
        if status != 0:
            _reply(out, {"id": request["id"], **DIED})
        return
    try:
        linux.die_with_parent(zygote)
        try:
            confined = sandlock.run_confined if backend == "sandlock" else None
            result = run_supervised(request["program"], limit, proc, HIDDEN.get(backend, ()), confined)
        except OSError as error:
            # The sandbox could not be put around the program: it has not run.
            result = {"broken": str(error)}
        _reply(out, {**result, "id": request["id"]})
        os._exit(0)
    finally:
        os._exit(1)


def _preload(name: str) -> None:
    for module in limits.PRELOADABLE[name]:
        # Not installed, or not of this version: the program gets the ordinary error.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _reply(out: int, message: dict[str, Any]) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(out, data) :]


def main(backend: str, parent: int) -> None:
    if backend != "bwrap":
        linux.die_with_parent(parent)
    out = os.dup(1)
    requests = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    # a batch system tells every process of a job that it will end: ours ends with its parent, who may have work to save
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    for name in limits.PRELOADED:
        importlib.import_module(name)
    try:
        proc = ISOLATE[backend]()
        if backend != "bwrap":
            # The change of user has cleared it.
            linux.die_with_parent(parent)
        memory = linux.virtual_memory(proc)
        # The collector would otherwise touch, and so copy, every page of the interpreter in each fork.
        gc.freeze()
    except OSError as error:
        _reply(out, {"problem": str(error)})
        return
    _reply(out, {"ready": os.getpid()})
    buffer = bytearray()
    while data := os.read(requests, 65_536):
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            request = json.loads(bytes(buffer[:end]))
            del buffer[: end + 1]
            if names := set(_PRELOAD.findall(request["program"])) - sys.modules.keys():
                for name in sorted(names):
                    _preload(name)
                memory = linux.virtual_memory(proc)
                gc.freeze()
            _run(request, proc, out, memory, backend)


def entry() -> None:
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except Exception:  # the parent sees a closed pipe; the reason is for whoever runs this by hand
        traceback.print_exc()
        sys.exit(1)
