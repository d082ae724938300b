"""One program's run, seen from the trusted side: three processes, of which only the last runs model text.

    supervisor      outside the program's namespaces; reads its output, keeps its time, kills pid 1
    └─ pid 1        ours, in namespaces of its own; when it dies the kernel kills all that is left in them
       └─ program   no capabilities, kernel limits, an empty tmpfs as its working directory

A program that leaves its session, ignores every signal and clears its death signal still dies with pid 1,
and the kernel returns from waiting on pid 1 only when the namespace is empty.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dsm_repro.reasoning import linux
from dsm_repro.reasoning.sandbox import limits
from dsm_repro.reasoning.sandbox.program import EXIT_MEMORY, run_program, set_limits
from dsm_repro.reasoning.sandbox.root import scratch_directory

NAMESPACES = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWIPC
#: who the program is inside and (where we are root) outside
NOBODY = 65_534
#: more than these processes ever have open: they start with three
DESCRIPTORS = 256
#: how long after a program's end its pipes may stay open by what it left behind, seconds
DRAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Limits:
    """What the config sets for one program."""

    timeout: float
    #: of the warm interpreter and the program together
    address_space: int
    output_bytes: int


#: runs a program confined by other means than namespaces, writing to two descriptors; gives its exit code
Confined = Callable[[str, Limits, int, int], int]


def run_supervised(
    source: str, limit: Limits, proc: int | None, hidden: tuple[str, ...], confined: Confined | None = None
) -> dict[str, Any]:
    """Run a program and say what came of it. Runs in a fork of the zygote that ends afterwards.

    ``proc`` is a descriptor of /proc, needed to enter a user namespace; None means no namespaces at all
    (``confined``, or the unprotected back-end), where what the program leaves behind is found and killed instead.
    ``hidden`` names directories that the zygote needs and a program must find empty.
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    go_read, go_write = os.pipe()
    if proc is None:
        # Orphans of the program come to this process, which kills them.
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        directory = tempfile.mkdtemp(prefix="program-")
        os.chdir(directory)
    else:
        _enter_namespaces(proc, hidden)
    started = time.monotonic()
    pid1 = os.fork()
    if pid1 == 0:
        os.close(go_write)
        _become_pid1(source, limit, go_read, out_write, err_write, proc, confined)
    for fd in (out_write, err_write, go_read):
        os.close(fd)
    os.write(go_write, b"g")
    status, stdout, error = _watch(pid1, limit, out_read, err_read, started + limit.timeout)
    seconds = time.monotonic() - started
    if proc is None:
        _kill_orphans()
        os.chdir("/")
        shutil.rmtree(directory, ignore_errors=True)
    return {
        "status": status,
        "stdout": stdout.decode("utf-8", "replace"),
        "error": error.decode("utf-8", "replace"),
        "seconds": seconds,
    }


def _enter_namespaces(proc: int, hidden: tuple[str, ...]) -> None:
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(NAMESPACES)
    linux.map_ids(proc, NOBODY, NOBODY, uid, gid)
    # A namespace inside this one would give its maker capabilities over fresh mounts. Where the system
    # keeps the switch read-only the other limits still hold.
    with contextlib.suppress(OSError):
        linux.write_proc(proc, "sys/user/max_user_namespaces", "0")
    for place in hidden:
        linux.mount("tmpfs", place, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_RDONLY, "size=4k")
    options = f"mode=700,size={limits.TMPFS_BYTES},nr_inodes={limits.TMPFS_FILES},uid={NOBODY},gid={NOBODY}"
    scratch = scratch_directory()
    linux.mount("tmpfs", scratch, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    os.chdir(scratch)


def _become_pid1(
    source: str, limit: Limits, go: int, out: int, err: int, proc: int | None, confined: Confined | None
) -> NoReturn:
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.read(go, 1) != b"g":
            # The supervisor died before the death signal was set.
            os._exit(1)
        if proc is not None:
            # The first to go when memory runs out.
            linux.write_proc(proc, "self/oom_score_adj", "1000")
            # The program has our user id: it must not be able to look into this process.
            linux.prctl(linux.PR_SET_DUMPABLE, 0)
        if confined is not None:
            code = confined(source, limit, out, err)
            os._exit(code if code >= 0 else 128 + signal.SIGKILL)
        program = os.fork()
        if program == 0:
            _become_program(source, limit, out, err, isolated=proc is not None)
        os.close(out)
        os.close(err)
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == program:
                break
        if os.WIFSIGNALED(status):
            os._exit(128 + os.WTERMSIG(status))
        os._exit(
            os.WEXITSTATUS(status) if os.WEXITSTATUS(status) <= 128 or os.WEXITSTATUS(status) == EXIT_MEMORY else 1
        )
    finally:
        os._exit(1)


def _become_program(source: str, limit: Limits, out: int, err: int, *, isolated: bool) -> NoReturn:
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for fd, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(fd, target)
        # Above all the descriptor of /proc: with it a program could look at the processes outside.
        os.closerange(3, DESCRIPTORS)
        if isolated:
            linux.drop_capabilities()
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                if number not in (signal.SIGKILL, signal.SIGSTOP):
                    signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        set_limits(limit.timeout, limit.address_space, processes=isolated)
        code = run_program(source)
    finally:
        os._exit(code)


def _watch(pid1: int, limit: Limits, out: int, err: int, deadline: float) -> tuple[str, bytes, bytes]:
    """Read the program's output until it ends, runs out of time or writes too much; then end all of it."""
    chunks: dict[int, bytearray] = {out: bytearray(), err: bytearray()}
    status = ""
    done = os.pidfd_open(pid1)
    with selectors.PollSelector() as selector:
        for fd in (out, err, done):
            selector.register(fd, selectors.EVENT_READ)
        ended = False
        while len(selector.get_map()) > 0:
            left = deadline - time.monotonic()
            events = selector.select(max(0.0, left))
            if not events:
                # After the end of pid 1 this is only a pipe held open by something left behind.
                status = status or ("" if ended else "timeout")
                break
            for key, _ in events:
                fd = key.fd
                if fd == done:
                    ended = True
                    deadline = min(deadline, time.monotonic() + DRAIN_SECONDS)
                    selector.unregister(fd)
                    continue
                data = os.read(fd, 65_536)
                if not data:
                    selector.unregister(fd)
                elif fd == out:
                    chunks[out] += data
                    if len(chunks[out]) > limit.output_bytes:
                        status = "output_limit"
                else:
                    chunks[err] = (chunks[err] + data)[-limits.ERROR_BYTES :]
            if status:
                break
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid1, signal.SIGKILL)
    _, wait_status = os.waitpid(pid1, 0)
    return status or _status(wait_status), bytes(chunks[out][: limit.output_bytes]), bytes(chunks[err])


def _status(wait_status: int) -> str:
    code = os.waitstatus_to_exitcode(wait_status)
    if code == 0:
        return "ok"
    if code == EXIT_MEMORY:
        return "memory"
    if code in (128 + signal.SIGXCPU, 128 + signal.SIGKILL) or code < 0:
        return "killed"
    return "killed" if code > 128 else "error"


def _kill_orphans() -> None:
    """Kill what the program left behind and what came to this process as its subreaper."""
    while True:
        children = [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
