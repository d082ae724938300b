"""`sandbox_owner.py BACKEND USER TIMEOUT WORKERS`: a process that owns a sandbox, as root or as an ordinary user.

Hostile programs are aimed at whoever runs them, so this is a process of its own: it can be another user's, and it can
be killed to see what it leaves. One JSON line with ``programs`` in, one with ``executions`` and ``zygotes`` out.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.evaluation_schema import SandboxConfig
from dsm_repro.reasoning import linux
from dsm_repro.reasoning.sandbox import Sandbox
from dsm_repro.reasoning.sandbox.root import interpreter_directories

REPOSITORY = Path(__file__).resolve().parents[2]
#: the user id that an ordinary user has; no account is needed for it
ORDINARY = 42_042
MEMORY_MB = 128
OUTPUT_BYTES = 5_000


def become_ordinary() -> None:
    """From root to a user with no rights, for good."""
    open_the_way([*interpreter_directories(), str(REPOSITORY)])
    os.setgroups([])
    os.setresgid(ORDINARY, ORDINARY, ORDINARY)
    os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    linux.prctl(linux.PR_SET_DUMPABLE, 1)


def open_the_way(needed: list[str]) -> None:
    """In a mount namespace of our own, let everyone reach ``needed``: root's home is often closed, and Python in it."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755")
    for number, path in enumerate(needed):
        closed = [parent for parent in (*reversed(Path(path).parents), Path(path)) if not parent.stat().st_mode & 0o001]
        if not closed:
            continue
        kept = Path("/mnt") / str(number)
        kept.mkdir()
        linux.mount(path, str(kept), None, linux.MS_BIND | linux.MS_REC)
        linux.mount("tmpfs", str(closed[0]), "tmpfs", 0, "mode=755")
        Path(path).mkdir(parents=True, exist_ok=True)
        linux.mount(str(kept), path, None, linux.MS_BIND | linux.MS_REC)


def main(backend: str, user: str, timeout: float, workers: int) -> None:
    # Programs of a test that was killed end, too.
    linux.die_with_parent(os.getppid())
    if user == "ordinary user" and os.getuid() == 0:
        become_ordinary()
        linux.die_with_parent(os.getppid())
    config = SandboxConfig(backend=backend, timeout=timeout, memory_mb=MEMORY_MB, output_bytes=OUTPUT_BYTES)
    try:
        sandbox = Sandbox(config, workers=workers)
    except (ConfigError, OSError) as error:
        print(json.dumps({"problem": str(error)}), flush=True)
        return
    with sandbox:
        print(json.dumps({"ready": os.getuid()}), flush=True)
        for line in sys.stdin:
            executions = sandbox.run_many(json.loads(line)["programs"])
            zygotes = [worker.process.pid for worker in sandbox._pool._state.all]
            print(json.dumps({"executions": [asdict(one) for one in executions], "zygotes": zygotes}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
