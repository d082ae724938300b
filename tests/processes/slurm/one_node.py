"""A Slurm of one node on this machine: munged, slurmctld and slurmd on loopback, all of their files in one folder.

    python tests/processes/slurm/one_node.py FOLDER      # until it is interrupted; prints what to export

For tests. It needs root, and ``apt-get install slurm-wlm munge``; nothing of the machine's own Slurm is read or
changed. No cgroups, no accounting database: what a job uses is not limited, and ``sacct`` knows no job.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo")
#: seconds for the node to be idle
PATIENCE = 60.0

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# neither systemd nor cgroups
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)}: not installed (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@contextmanager
def one_node(folder: Path, cpus: int = 2) -> Iterator[dict[str, str]]:
    """The variables under which sbatch finds the cluster, which ends with the block.

    Raises:
        RuntimeError: with the ends of the logs, where the node is not idle within PATIENCE seconds.
    """
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o700, parents=True)
    (folder / "munge" / "key").touch(mode=0o600)
    (folder / "munge" / "key").write_bytes(secrets.token_bytes(128))
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, host=socket.gethostname().split(".")[0], cpus=cpus,
            controller_port=_free_port(), node_port=_free_port(),
        )
    )  # fmt: skip
    (folder / "cgroup.conf").write_text("CgroupPlugin=autodetect\n")
    variables = {"SLURM_CONF": str(configuration), "PATH": _path()}
    environment = {**os.environ, **variables}
    munge = [
        f"--{name}={folder}/munge/{name.removesuffix('-file')}"
        for name in ("key-file", "socket", "log-file", "pid-file", "seed-file")
    ]
    with ExitStack() as stack:
        for command in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-c"],
        ):
            stack.enter_context(_daemon(command, folder / f"{command[0]}.out", environment))
        _wait_until_idle(folder, environment)
        yield variables


@contextmanager
def _daemon(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_idle(folder: Path, environment: dict[str, str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True, check=False
        )
        if asked.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    ends = [f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in sorted(folder.glob("slurm*.[lo]*"))]
    raise RuntimeError("\n".join([f"no idle node after {PATIENCE:.0f} s (sinfo: {asked.stdout}{asked.stderr})", *ends]))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


if __name__ == "__main__":
    with one_node(Path(sys.argv[1]).absolute()) as told:
        print(f"export SLURM_CONF={told['SLURM_CONF']}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
