"""A stage in a process of its own, as it runs under the launchers of clusters: its death is a message, not a wait.

A process that the kernel kills (no memory left, say) says nothing. Under joblib the pool sees it; Ray would start the
task again, three times or for ever, and submitit waits for a result until the scheduler's accounting calls the job
dead. So there the launched task only starts the stage, waits for it, and notes how it ended, with the end of its log.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from dsm_repro.config.errors import DsmError
from dsm_repro.pipeline.group import how_it_ended
from dsm_repro.pipeline.index import PREEMPTED
from dsm_repro.pipeline.preemption import EXIT_CODE
from dsm_repro.pipeline.store import Store, explained
from dsm_repro.pipeline.worker import Spec, main, write_error

#: Hydra's launchers whose own death is seen at once
IN_PROCESS = ("basic", "joblib")
#: seconds between the signal that asks a stage to stop and the one that ends it: for a step and a checkpoint
GRACE = 300.0
#: how much of a log is shown
TAIL_LINES = 10
TAIL_CHARACTERS = 2_000


class WorkerDiedError(DsmError):
    """A stage's process ended without a word."""


def wanted() -> bool:
    """Whether the launcher of this task is one that needs it."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return False
    return str(HydraConfig.get().runtime.choices.get("hydra/launcher", IN_PROCESS[0])) not in IN_PROCESS


def run(spec_file: Path, spec: Spec, log: Path) -> str:
    """Run the stage and wait for its end; "done", or "preempted" or "failed" with the reason in its ``error.json``."""
    with explained(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    with output:
        output.write(f"{spec.stage}/{spec.key}: {place()}\n".encode())
        output.flush()
        # as it is here: Ray puts the driver's folders on it
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "dsm_repro.pipeline.apart", str(os.getpid()), str(spec_file)]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
        try:
            code = process.wait()
        finally:
            _end(process)
    if code == EXIT_CODE:
        return PREEMPTED
    if code not in (0, 1):
        died = WorkerDiedError(f"the stage's process {how_it_ended(code)}. The same command again resumes.")
        write_error(Store(spec.store).staging(spec.stage, spec.key), died)
    return "failed" if code else "done"


def place() -> str:
    """Where this runs: the scheduler's name for it where there is one, host and process."""
    here = f"{socket.gethostname()}, process {os.getpid()}"
    if "SLURM_JOB_ID" in os.environ:
        return f"Slurm job {os.environ['SLURM_JOB_ID']}, node {os.environ.get('SLURMD_NODENAME', '?')}, {here}"
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return f"Ray node {ray.get_runtime_context().get_node_id()}, {here}"
    return here


def tail(log: Path) -> str:
    """The end of a log, to be put behind a message; empty where there is none."""
    try:
        with log.open("rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - TAIL_CHARACTERS))
            text = f.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
    return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines)]) if lines else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Where the wait was broken off (the job is cancelled, or has to give way): ask the stage to stop, then make it."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    from dsm_repro.reasoning.linux import die_with_parent

    die_with_parent(int(sys.argv[1]))
    # what submitit asks Slurm for reaches this process, too, and means a preemption here as well
    signal.signal(signal.SIGUSR2, lambda number, frame: None)
    raise SystemExit(main(sys.argv[2:]))
