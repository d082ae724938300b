"""The back-end ``sandlock``, for machines that refuse namespaces and have Landlock (Linux 6.7): that package's sandbox.

It confines only what it starts, so each program has an interpreter of its own, without a warm sympy: slower. Time,
output and what a program leaves behind are still ours to limit (``supervisor.py``). It is weaker than namespaces: a
program sees true process numbers, and may make any number of (empty) files until its time is up. They are removed
with its directory, unless the owner of the sandbox is killed while the program runs: that leaves the directory.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.reasoning.sandbox import limits, program
from dsm_repro.reasoning.sandbox.root import DEVICES, FILES, SYSTEM, interpreter_directories

if TYPE_CHECKING:
    from dsm_repro.reasoning.sandbox.supervisor import Limits

_PACKAGE = "dsm_repro.reasoning.sandbox"
#: the confined interpreter cannot read this package: the two modules that it needs come with the program
_BOOT = f"""
import json, os, sys, types
with os.fdopen(0, closefd=False) as file:
    given = json.load(file)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.closerange(3, 256)
parts = {_PACKAGE!r}.split(".")
for end in range(1, len(parts) + 1):
    sys.modules[".".join(parts[:end])] = types.ModuleType(parts[end - 1])
package = sys.modules[{_PACKAGE!r}]
for name, text in given["modules"].items():
    module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    setattr(package, name, module)
for end in range(1, len(parts) + 1):
    del sys.modules[".".join(parts[:end])]
for name in given["preload"]:
    try:
        __import__(name)
    except ImportError:
        pass
package.program.set_limits(given["timeout"], given["address_space"], False)
os._exit(package.program.run_program(given["source"]))
"""


def check() -> None:
    """Raises OSError with the reason where sandlock cannot be used."""
    if not os.access(sys.executable, os.X_OK):
        raise OSError(f"{sys.executable} cannot be run by an ordinary user")
    # it wants to know where home is, and an ordinary user need not have an account
    os.environ.setdefault("HOME", "/")
    try:
        from sandlock import landlock_abi_version, min_landlock_abi
    except ImportError as error:
        raise OSError(f"{error}; `pip install sandlock`") from None
    if landlock_abi_version() < min_landlock_abi():
        raise OSError(f"the kernel's Landlock has version {landlock_abi_version()}, needed is {min_landlock_abi()}")


def run_confined(source: str, limit: Limits, out: int, err: int) -> int:
    """Run a program below the working directory and return its exit code, negative where a signal ended it."""
    from sandlock import BranchAction, Sandbox

    for name in ("work", "written"):
        Path(name).mkdir()
    work = str(Path("work").resolve())
    given = {
        "source": source,
        "modules": {module.__name__.rpartition(".")[2]: _text(module.__file__) for module in (limits, program)},
        # what the warm interpreters of other back-ends have imported is seeded there
        "preload": [*limits.PRELOADED, *(name for name in limits.PRELOADABLE if name in source)],
        "timeout": limit.timeout,
        "address_space": limit.address_space,
    }
    payload = os.memfd_create("program")
    os.write(payload, json.dumps(given).encode())
    os.lseek(payload, 0, os.SEEK_SET)
    for fd, target in ((payload, 0), (out, 1), (err, 2)):
        os.dup2(fd, target)
    readable = [*SYSTEM, *FILES, *DEVICES, *interpreter_directories()]
    sandbox = Sandbox(
        fs_readable=[path for path in readable if Path(path).exists()],
        fs_writable=[work, os.devnull],
        # what is written goes elsewhere and is counted
        workdir=work,
        fs_storage=str(Path("written").resolve()),
        max_disk=limits.TMPFS_BYTES,
        on_exit=BranchAction.ABORT,
        cwd=work,
        clean_env=True,
        env={"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
        max_processes=limits.PROCESSES,
        max_open_files=limits.OPEN_FILES,
        no_coredump=True,
    )
    # Memory is limited by the kernel as elsewhere: sandlock's own limit kills where a program may get a MemoryError.
    return int(sandbox.run_interactive([sys.executable, "-s", "-P", "-B", "-c", _BOOT]))


def _text(path: str | None) -> str:
    assert path is not None
    return Path(path).read_text(encoding="utf-8")
