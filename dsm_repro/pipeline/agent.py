"""Starts a node's members of a group: torchrun, with its arguments.

It ends with the process that started it. The signals of a preemption are that process' business, which tells the
members by a file: they and their agent ignore them, else torchrun would give the members thirty seconds, whatever they
have to save.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from dsm_repro.pipeline.group import SIGNALLED
from dsm_repro.pipeline.preemption import OTHERS_SIGNALS, SIGNALS
from dsm_repro.reasoning import linux


def main(arguments: Sequence[str]) -> int:
    """Run torchrun; returns 0, or 1 if a member failed, which says itself why, or ``SIGNALLED`` and the number of the
    signal that ended the first one to fail.
    """
    linux.die_with_parent(os.getppid())
    for number in (*SIGNALS, *OTHERS_SIGNALS):
        # inherited by the members
        signal.signal(number, signal.SIG_IGN)
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    options = get_args_parser().parse_args(list(arguments))
    options.signals_to_handle = "SIGINT,SIGHUP,SIGQUIT"
    try:
        run(options)
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        return 1 if first.exitcode >= 0 else SIGNALLED - first.exitcode
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
