"""One index, one set of arms at a time: sweeps of one name do not write over each other unseen.

The name of a sweep does not say at what scale it runs, how far, or with which overrides. While a run lasts, another
with other arms is refused; runs of the same arms (one command in two terminals) go together and share the work. The
finished index of other arms is kept under another name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dsm_repro.config.errors import StoreError
from dsm_repro.pipeline.index import Index, read_index, written

LOCK = "arms.lock"


@contextmanager
def held(index: Index) -> Iterator[None]:
    """Begin the index and hold it. The kernel frees it when the process dies.

    Runs that share it hold the lock together; whoever has it alone may put other arms in its place.

    Raises:
        StoreError: a run with other arms holds it, or it cannot be written.
    """
    with written(index.path):
        index.path.parent.mkdir(parents=True, exist_ok=True)
        # closed, and with it freed, at the end
        lock = index.path.with_name(LOCK).open("a+")
    with lock:
        with written(index.path.with_name(LOCK)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _keep_other(index)
                index.begin()
            except BlockingIOError:
                pass
            # waits only while another one begins
            fcntl.flock(lock, fcntl.LOCK_SH)
        if _arms(read_index(index.path)) != _arms({"arms": index.arms()}):
            raise StoreError(
                f"{index.path}: another run of {index.sweep.name} is under way, with other stages, and writes there. "
                f"Run this one when it has ended{_other_name(index)}."
            )
        index.begin()
        yield


def _keep_other(index: Index) -> None:
    """Rename the finished index of other arms, and say so; one whose arms only become longer or more is not other."""
    told = read_index(index.path)
    if not told and index.path.exists():
        print(f"{index.path}: not the index of a sweep; it is made anew.", file=sys.stderr)
    ours = {(name, seed): stages for name, seed, stages in _arms({"arms": index.arms()})}
    goes_on = all(stages.items() <= ours.get((name, seed), {}).items() for name, seed, stages in _arms(told))
    if goes_on or not told.get("finished"):
        return
    digest = hashlib.sha256(json.dumps(_arms(told)).encode()).hexdigest()
    kept = index.path.rename(index.path.with_name(f"arms-{digest[:8]}.json"))
    print(
        f"{index.sweep.name}: an earlier run of this name, finished {told['finished']}, had other stages. Its index is "
        f"kept as {kept}, and a report of this run takes the place of its report{_other_name(index)}.",
        file=sys.stderr,
    )


def _arms(told: Mapping[str, Any]) -> Sequence[tuple[str, int, dict[str, str]]]:
    return [(arm.get("name"), arm.get("seed"), arm["stages"]) for arm in told.get("arms", ())]


def _other_name(index: Index) -> str:
    """How to have both; the name of a command without a sweep file is made of its words."""
    if not index.sweep.declared:
        return ""
    return f", or give it a name of its own: sweep.name={index.sweep.name}_{index.plan.scale}"
