"""One of the processes that share a stage: ``python -m dsm_repro.pipeline.member SPEC.json``, started by torchrun.

The stage runs in each of them as it would alone, and its trainer shares the work. The first one writes the artifact,
shows progress and leaves the cost; another one's ``ctx.out`` is a folder beside it that is thrown away.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

from dsm_repro.config.container import from_container
from dsm_repro.config.errors import DsmError
from dsm_repro.pipeline.cost import Cost
from dsm_repro.pipeline.group import Group
from dsm_repro.pipeline.preemption import Preempted, Watch
from dsm_repro.pipeline.progress import ProgressWriter
from dsm_repro.pipeline.stage import StageContext, StageEnd
from dsm_repro.pipeline.store import Store, write_text
from dsm_repro.pipeline.tracker import tracked
from dsm_repro.pipeline.worker import Spec, load_stage, use_threads
from dsm_repro.reasoning import linux


def run(spec: Spec, group: Group, rank: int) -> Cost:
    """Do this process' part of the stage; returns what it spent."""
    use_threads(spec.threads)
    store = Store(spec.store)
    staging = store.staging(spec.stage, spec.key)
    stage, config = load_stage(spec.import_path), from_container(spec.config)
    # compared with their digests by the process that holds the lock
    parents = {name: store.path(name, key) for name, key in spec.parents.items()}
    with ExitStack() as stack:
        if rank == 0:
            out, progress = staging.out, stack.enter_context(ProgressWriter(store.root, spec.stage, spec.key))
        else:
            out, progress = group.out(rank), None
            out.mkdir()
        ctx = StageContext(config, out, staging.scratch, parents, spec.threads, Cost(), progress, Watch(group.stop))
        stack.enter_context(tracked(config.tracker))
        try:
            stage.run(ctx)
        except StageEnd:
            assert rank > 0, "the first process has the artifact to finish"
        except Preempted:
            # all are: after another error, a process could wait here for one that is not
            leave_process_group()
            raise
    leave_process_group()
    return ctx.cost


def leave_process_group() -> None:
    """Leave torch's process group, if there is one: NCCL asks for it."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0, or 1 after an error (or a preemption), which is noted for the stage's process."""
    linux.die_with_parent(os.getppid())
    path, rank = Path(arguments[0]), int(os.environ["RANK"])
    group, spec = Group(path.parent), Spec.read(path)
    try:
        cost = run(spec, group, rank)
        if rank == 0:
            write_text(group.cost, json.dumps(cost.state()))
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        note = {
            "message": str(error), "type": type(error).__name__, "actionable": isinstance(error, DsmError),
            "traceback": trace, "time": time.time(),
        }  # fmt: skip
        write_text(group.error(rank), json.dumps(note))
        print(error if isinstance(error, Preempted) else trace, file=sys.stderr)
        return 1
    return 0


def end(status: int) -> NoReturn:
    """End this process, all but the interpreter's own end.

    A thread of gloo that lets go of its last tensor takes Python's lock, and aborts the process if the interpreter is
    ending, and with it a stage that is done (pytorch#190489). Such threads outlive the process group wherever
    something still refers to it, as FSDP does.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # a reader that has gone changes nothing about what is done
        with suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    end(main(sys.argv[1:]))
