"""What came of a program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """``stdout`` is cut at ``sandbox.output_bytes``; ``error`` is the end of standard error."""

    #: ok | error (exit code not 0) | timeout | memory | output_limit | killed (by a signal)
    status: str
    stdout: str
    error: str
    #: wall clock of the program, without the start of the sandbox
    seconds: float
    backend: str
