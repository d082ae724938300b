"""Inside the sandbox: the process that becomes the model's program. Runs in a fork of the warm interpreter."""

from __future__ import annotations

import os
import resource
import sys
import threading
import traceback
import types
from typing import Any

from dsm_repro.reasoning.sandbox import limits

#: exit code by which a program's MemoryError is told from its other errors
EXIT_MEMORY = 213


def set_limits(seconds: float, address_space: int, processes: bool) -> None:
    """Limits of the kernel on this process and its children; ``address_space`` is in bytes."""
    cpu = int(seconds) + 2
    for what, value in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, limits.FILE_BYTES),
        (resource.RLIMIT_NOFILE, limits.OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        *(((resource.RLIMIT_NPROC, limits.PROCESSES),) if processes else ()),
    ):
        resource.setrlimit(what, (value, value))


def run_program(source: str) -> int:
    """Execute ``source`` as ``__main__``; returns the exit code that the process should end with."""
    os.environ.clear()
    sys.argv[:] = ["<program>"]
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="replace", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    _seed()
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    code = 0
    try:
        exec(compile(source, "<program>", "exec", dont_inherit=True), main.__dict__)
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
    except SystemExit as end:
        code = _exit_code(end.code)
    except MemoryError:
        _flush()
        os.write(2, b"MemoryError\n")
        return EXIT_MEMORY
    except BaseException as error:  # whatever a program raises is its result
        code = 1
        try:
            trace = error.__traceback__.tb_next if error.__traceback__ else None
            traceback.print_exception(type(error), error, trace)
        except BaseException:  # an exception whose text cannot be had
            os.write(2, b"error without a message\n")
    return code if _flush() else 1


def _seed() -> None:
    """Unseeded random numbers are the same in every run: evaluation is repeatable."""
    modules: dict[str, Any] = sys.modules  # type: ignore[assignment]
    if "random" in modules:
        modules["random"].seed(0)
    if "numpy" in modules:
        modules["numpy"].random.seed(0)


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _flush() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # the program may have replaced or closed its streams
        return False
    return True
