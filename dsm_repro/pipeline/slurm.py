"""Asking Slurm which jobs have ended, for submitit: by ``squeue``, which every cluster has.

submitit asks ``sacct``, at last every ten minutes; a cluster without an accounting database answers nothing, and a job
that was cancelled or whose node failed would be waited for without end.
"""

from __future__ import annotations

from collections.abc import Iterable

#: seconds between two questions at most
INTERVAL = 60
COMMAND = ("squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%T|%N")


def states(output: str, jobs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Job -> what ``sacct`` would say of it, from the answer to COMMAND.

    Slurm forgets a job some minutes after its end (MinJobAge): one that is not listed has ended.
    """
    listed = dict.fromkeys(jobs, ("GONE", ""))
    for line in output.splitlines():
        job, state, nodes = line.strip().split("|")
        listed[job] = (state, nodes)
    return {job: {"JobID": job, "State": state, "NodeList": nodes} for job, (state, nodes) in listed.items()}


def watch_by_squeue() -> None:
    """Have submitit's Slurm jobs of this process look for their end by ``squeue``."""
    from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

    class SqueueWatcher(SlurmInfoWatcher):  # type: ignore[misc]
        def _make_command(self) -> list[str] | None:
            return list(COMMAND) if self._registered - self._finished else None

        def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
            text = string if isinstance(string, str) else string.decode()
            return states(text, self._registered - self._finished)

    SlurmJob.watcher = SqueueWatcher(delay_s=INTERVAL)
