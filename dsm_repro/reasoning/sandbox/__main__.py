"""`python -m dsm_repro.reasoning.sandbox [--install]`: say which back-ends work here, and what to do if none does.

``--install`` (``make`` gives it) tries to get one where none works: bubblewrap with apt-get where root asks, else
sandlock with pip into this environment. It never changes a machine on which programs can already be isolated.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.reasoning.sandbox.controller import probe

#: without a network, giving up must not take as long as installing does
INSTALL_SECONDS = 120


def attempts() -> dict[str, list[str]]:
    """By package, the command that installs it here."""
    found = {}
    if os.getuid() == 0 and shutil.which("apt-get") and not shutil.which("bwrap"):
        found["bubblewrap"] = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "bubblewrap"]
    found["sandlock"] = [sys.executable, "-m", "pip", "install", "--quiet", "sandlock>=0.9,<0.10"]
    return found


def refusals() -> dict[str, str | None]:
    probe.cache_clear()
    return {name: probe(name) for name in ISOLATED}


def main(arguments: list[str]) -> None:
    found = refusals()
    for package, command in attempts().items() if "--install" in arguments else ():
        if None in found.values():
            break
        print(f"sandbox: no back-end works here; trying {' '.join(command)}")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            said = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        except (OSError, subprocess.TimeoutExpired) as error:
            done, said = None, type(error).__name__
        print(f"sandbox: {package} installed" if done and not done.returncode else f"sandbox: no {package} ({said})")
        found = refusals()
    for name, reason in found.items():
        print(f"sandbox {name}: {reason or 'works'}")
    if None not in found.values():
        print(
            "Programs that a model writes cannot be isolated here: evaluation=pot, evaluation=both, sft.format=tool "
            "and dsm execute stop with an error. Install the package bubblewrap (`sudo apt-get install bubblewrap`, "
            "`sudo dnf install bubblewrap`), or allow user namespaces (`sysctl user.max_user_namespaces`; in Docker "
            "`--security-opt seccomp=unconfined`)."
        )
    elif found["bwrap"] is not None:
        print("The package bubblewrap would add the first choice; what works is used until then.")


if __name__ == "__main__":
    main(sys.argv[1:])
