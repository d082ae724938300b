"""Ways to isolate the zygote, best first, and the probe that says which of them work here."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dsm_repro.reasoning.processes import Worker, WorkerDiedError
from dsm_repro.reasoning.sandbox.root import EMPTY, FILES, SYSTEM, interpreter_directories
from dsm_repro.reasoning.sandbox.supervisor import NOBODY

#: isolated ones, in the order in which ``auto`` tries them
ISOLATED = ("bwrap", "userns", "sandlock")
UNISOLATED = "subprocess"
#: starting an interpreter and its namespaces on a busy machine, seconds
START_SECONDS = 60.0
#: where bubblewrap shows this package to the zygote; programs find the place empty
PACKAGE = "/run/package"

_PACKAGE_ROOT = Path(__file__).resolve().parents[3]
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from dsm_repro.reasoning.sandbox.zygote import entry; del sys.path[0]; entry()"
)


class UnavailableError(Exception):
    """This machine refuses a back-end; the message says why."""


def _environment() -> dict[str, str]:
    """All that a zygote inherits; programs start with nothing at all."""
    own = {
        # Sets of strings print in the same order in every run.
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }
    return own | ({"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]} if "LD_LIBRARY_PATH" in os.environ else {})


def _python(backend: str, root: str) -> list[str]:
    # No user site, no script folder, no .pyc files. PYTHON* variables are all ours: -I would only lose the hash seed.
    return [sys.executable, "-s", "-P", "-B", "-c", _BOOT, root, backend, str(os.getpid())]


def _bwrap() -> list[str]:
    program = shutil.which("bwrap")
    if program is None:
        raise UnavailableError("no `bwrap` on PATH")
    options = ["--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
    if os.getuid() == 0:
        # A user namespace would map the sandbox's user to root, for whom the kernel ignores the process limit:
        # the zygote becomes nobody by itself instead.
        options += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        options += ["--unshare-all", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    for path in SYSTEM:
        if Path(path).is_symlink():
            options += ["--symlink", os.readlink(path), path]  # noqa: PTH115 (the text of the link, as it stands)
        elif Path(path).is_dir():
            options += ["--ro-bind", path, path]
    for path in interpreter_directories():
        for parent in reversed(Path(path).parents[:-1]):
            options += ["--perms", "0755", "--dir", str(parent)]
        options += ["--ro-bind", os.path.realpath(path), path]
    for path in FILES:
        options += ["--ro-bind-try", path, path]
    options += [part for path in EMPTY for part in ("--perms", "0755", "--dir", path)]
    options += ["--perms", "0755", "--dir", PACKAGE]
    options += ["--ro-bind", str(_PACKAGE_ROOT / "dsm_repro"), f"{PACKAGE}/dsm_repro"]
    # An ordinary user could write to its /dev: a way from one program to the next, and memory without limit.
    read_only = [part for path in ("/dev", "/") for part in ("--remount-ro", path)]
    return [program, *options, *read_only, "--", *_python("bwrap", PACKAGE)]


@dataclass(frozen=True)
class Backend:
    """A way to isolate. ``start`` gives a ready zygote."""

    name: str

    def start(self) -> Worker:
        """Raises UnavailableError with the reason where this machine refuses it."""
        if not sys.platform.startswith("linux"):
            raise UnavailableError(f"{sys.platform} has no namespaces")
        argv = _bwrap() if self.name == "bwrap" else _python(self.name, str(_PACKAGE_ROOT))
        worker = Worker(argv, _environment())
        try:
            message = worker.receive(time.monotonic() + START_SECONDS)
        except (WorkerDiedError, TimeoutError) as error:
            worker.kill()
            raise UnavailableError(f"the zygote did not start ({type(error).__name__})") from None
        if "problem" in message:
            worker.kill()
            raise UnavailableError(message["problem"])
        return worker

    def probe(self) -> str | None:
        """Why this back-end cannot run a program here; None if it just did."""
        try:
            worker = self.start()
        except UnavailableError as error:
            return str(error)
        try:
            deadline = time.monotonic() + START_SECONDS
            request = {"timeout": 20.0, "memory_bytes": 2**28, "output_bytes": 100}
            worker.send({"id": 0, "program": "print(6 * 7)", **request}, deadline)
            message = worker.receive(deadline)
        except (WorkerDiedError, TimeoutError) as error:
            return f"the zygote did not answer ({type(error).__name__})"
        finally:
            worker.kill()
        if message.get("stdout") != "42\n":
            return str(message.get("broken") or message.get("error") or message)
        return None
