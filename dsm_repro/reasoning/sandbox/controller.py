"""The sandbox as the rest of the house sees it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.reasoning.processes import Pool, WorkerDiedError
from dsm_repro.reasoning.sandbox import limits
from dsm_repro.reasoning.sandbox.backends import ISOLATED, UNISOLATED, Backend, UnavailableError
from dsm_repro.reasoning.sandbox.execution import Execution

if TYPE_CHECKING:
    from dsm_repro.config.evaluation_schema import SandboxConfig

#: what the supervisor may take over the program's own time (importing sympy once included), seconds
GRACE_SECONDS = 60.0


@lru_cache
def probe(name: str) -> str | None:
    """Why the back-end ``name`` does not work on this machine; None if it does. Asked once per process."""
    return Backend(name).probe()


def choose_backend(config: SandboxConfig) -> str:
    """The back-end that ``config`` means on this machine. Raises ConfigError where none works."""
    known = (*ISOLATED, UNISOLATED)
    if config.backend not in ("auto", *known):
        raise ConfigError(f"sandbox.backend={config.backend}: no such back-end. Use one of: auto, {', '.join(known)}.")
    if config.backend == UNISOLATED and not config.allow_unsandboxed:
        raise ConfigError(
            "sandbox.backend=subprocess: it sets limits and isolates nothing, so a program can read and write what "
            "you can. Set sandbox.allow_unsandboxed=true if that is what you want."
        )
    wanted = known if config.backend == "auto" else (config.backend,)
    reasons = []
    for name in wanted:
        if name == UNISOLATED and not config.allow_unsandboxed:
            continue
        reason = probe(name)
        if reason is None:
            return name
        reasons.append(f"{name}: {reason}")
    raise ConfigError(
        f"sandbox.backend={config.backend}: model-written programs cannot be isolated here ({'; '.join(reasons)}). "
        "Install the package `bubblewrap`, allow unprivileged user namespaces "
        "(`sysctl user.max_user_namespaces`; in Docker `--security-opt seccomp=unconfined`), `pip install sandlock` "
        "(Linux 6.7 or newer, an interpreter that an ordinary user may run), or accept the risk "
        "with sandbox.allow_unsandboxed=true."
    )


class Sandbox:
    """Runs model-written Python programs, each from a warm interpreter, in namespaces of its own.

    A program sees a read-only file system with the system's libraries and this Python, an empty 32 MB
    ``/tmp`` (``/var/tmp`` where the interpreter lies below ``/tmp``) as its working directory, no network,
    no environment, no /proc and no process but its own. It has no capabilities, and limits on time, memory,
    processes, files and output. When it ends, or is ended, the kernel removes its processes and files.

    What this does not protect against: flaws of the kernel (no system call is filtered); reading what
    lies under /usr and in this Python's own folder; side channels; several processes of one program
    using ``memory_mb`` each, or files in memory that are no process's own (programs are the first that
    the kernel's memory killer takes). It bounds accidents and casual hostility, not a determined
    attacker. The back-end ``sandlock`` has no namespaces and no warm interpreter (``sandlock.py`` says
    in what it is weaker). The back-end ``subprocess`` isolates nothing: it sets limits and kills what it
    can find.

    Unseeded random numbers and the order of sets are the same in every run.
    """

    def __init__(self, config: SandboxConfig, workers: int = 2) -> None:
        for key in ("timeout", "memory_mb", "output_bytes"):
            if not getattr(config, key) > 0:
                raise ConfigError(f"sandbox.{key}={getattr(config, key)}: a limit must be positive.")
        self._config = config
        self._name = choose_backend(config)
        self._pool = Pool(Backend(self._name).start, workers)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    @property
    def backend(self) -> str:
        """bwrap | userns | sandlock | subprocess: part of every result."""
        return self._name

    def run(self, program: str) -> Execution:
        """Run one program. Never raises because of what the program does; ConfigError if isolation breaks down."""
        if len(program.encode("utf-8", "replace")) > limits.PROGRAM_BYTES:
            error = f"SyntaxError: the program is longer than {limits.PROGRAM_BYTES} bytes\n"
            return Execution("error", "", error, 0.0, self._name)
        with self._lock:
            number = next(self._ids)
        request = {
            "id": number,
            "program": program,
            "timeout": self._config.timeout,
            "memory_bytes": self._config.memory_mb * 2**20,
            "output_bytes": self._config.output_bytes,
        }
        deadline = time.monotonic() + self._config.timeout + GRACE_SECONDS
        try:
            with self._pool.worker() as worker:
                worker.send(request, deadline)
                message = worker.receive(deadline)
        except UnavailableError as error:
            raise ConfigError(f"sandbox.backend={self._name}: it worked before and now does not: {error}.") from None
        except (WorkerDiedError, TimeoutError) as error:
            # The pool has ended the zygote; with it the kernel ended the program.
            return Execution("killed", "", f"{type(error).__name__}\n", self._config.timeout, self._name)
        if message.get("id") != number or "broken" in message:
            raise ConfigError(
                f"sandbox.backend={self._name}: the program could not be isolated and was not run: "
                f"{message.get('broken', message)}. Check `sysctl user.max_user_namespaces`."
            )
        return Execution(message["status"], message["stdout"], message["error"], message["seconds"], self._name)

    def run_many(self, programs: Iterable[str], workers: int | None = None) -> list[Execution]:
        """Run programs, up to ``workers`` at once (at most as many as the sandbox has); results in their order."""
        programs = list(programs)
        threads = min(workers or self._pool.size, self._pool.size, len(programs))
        if threads <= 1:
            return [self.run(program) for program in programs]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self.run, programs))

    def close(self) -> None:
        """End the zygotes; the sandbox may be used again afterwards."""
        self._pool.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
