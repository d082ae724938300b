"""A machine that is to be taken away says so by a signal: what is under way is saved, and the command ends with 75.

Slurm sends SIGTERM before it ends a job, and a signal of the user's choice some time ahead (``--signal=USR1@120``);
cloud machines send SIGTERM. A stage that trains notes the signal, saves a checkpoint at the end of the step under way
and ends; the others have nothing that they could save, and end at once. The same command again goes on from there.

Whoever had a handler for the signal gets it once the checkpoint is there: submitit then queues its job again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DsmError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
#: heeded only where somebody handles it, as submitit does: it is the signal by which submitit learns of a preemption
OTHERS_SIGNALS = (signal.SIGUSR2,)
#: "try again": what a launcher that knows it puts into the queue again
EXIT_CODE = os.EX_TEMPFAIL


class Preempted(DsmError):  # noqa: N818 - not an error of anyone's
    """This process was told to end; what it had done up to the last checkpoint is kept."""


class _Told(BaseException):
    """What a signal raises in the midst of work, which may be a library's that catches and renames every Exception."""


@contextmanager
def heeded() -> Iterator[None]:
    """A signal that interrupts the work inside is an error like others outside. Raises :class:`Preempted`."""
    try:
        yield
    except _Told as told:
        raise Preempted(str(told)) from None


class Watch:
    """Whether the work under way is to end soon.

    Args:
        stop: a file whose existence says so too: how processes that a signal does not reach are told.
        announce: whether a signal makes that file.
    """

    def __init__(self, stop: Path | None = None, announce: bool = False) -> None:
        self.stop, self.announce = stop, announce
        self.signal: int | None = None
        #: whether a signal is only noted: from here on the work asks :attr:`requested` and ends by itself
        self.patient = False

    @property
    def requested(self) -> bool:
        return self.signal is not None or (self.stop is not None and self.stop.exists())

    def check(self) -> None:
        """Raises Preempted if the work is to end, for where nothing is to be saved."""
        if self.requested:
            raise Preempted("preempted. The same command again goes on.")

    def noted(self, number: int, frame: Any = None) -> None:
        """The signal handler; what it raises is heard by :func:`heeded`, which :func:`watching` is."""
        self.signal = number
        if self.announce and self.stop is not None:
            self.stop.touch()
        if not self.patient:
            raise _Told(f"preempted by {signal.Signals(number).name}. The same command again goes on.")


@contextmanager
def watching(stop: Path | None = None, announce: bool = False) -> Iterator[Watch]:
    """A watch over what is done inside; a signal that was noted is passed on at the end to who handled it before.

    Only a process' main thread can handle signals; in another one the file alone tells.

    Raises:
        Preempted: a signal came while the work was not patient.
    """
    watch = Watch(stop, announce)
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    numbers = [*SIGNALS, *(number for number in OTHERS_SIGNALS if callable(signal.getsignal(number)))]
    before = {number: signal.signal(number, watch.noted) for number in numbers}
    try:
        with heeded():
            yield watch
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if watch.signal is not None:
            handler = before[signal.Signals(watch.signal)]
            if callable(handler):
                handler(watch.signal, None)
