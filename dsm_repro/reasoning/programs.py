"""Programs that models wrote, run and reported: what a tool says of each, and how the runs are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dsm_repro.reasoning import formats

if TYPE_CHECKING:
    from dsm_repro.config.evaluation_schema import SandboxConfig
    from dsm_repro.config.schema import Config
    from dsm_repro.reasoning.sandbox import Execution, Sandbox

#: programs -> what came of each
Runner = Callable[[Sequence[str]], dict[str, "Execution"]]

#: what the tool says of a program that was ended. What it had printed until then depends on the clock and is not told.
ENDED = {
    "timeout": "TimeoutError: the program took too long",
    "memory": "MemoryError: the program took too much memory",
    "output_limit": "OutputLimitError: the program printed too much",
    "killed": "KilledError: the program was killed",
}
#: what it says where there is nothing to run
NO_PROGRAM = "NoProgramError: there is no program before the call"


def limits(config: SandboxConfig) -> dict[str, Any]:
    """What of the sandbox changes the outcome of a program, for identities."""
    return {"timeout": config.timeout, "memory_mb": config.memory_mb, "output_bytes": config.output_bytes}


def identity_of_mode(config: Config) -> dict[str, Any]:
    """What changes the outcome of the policy's programs under ``rl.mode``; nothing for words, which run none."""
    mode = config.rl.mode
    if mode == "cot":
        return {}
    tool = {"tool": asdict(config.tool)} if mode == "tool" else {}
    return {"mode": mode, "sandbox": limits(config.sandbox), **tool}


def run_distinct(programs: Iterable[str], sandbox: Sandbox) -> dict[str, Execution]:
    """What came of each program; equal ones run once, several at a time."""
    distinct = list(dict.fromkeys(programs))
    return dict(zip(distinct, sandbox.run_many(distinct), strict=True))


def tool_says(execution: Execution | None, template: str, limit: int) -> str:
    """The text between call and rest, a function of the program alone; None means that there was none to run."""
    if execution is None:
        return formats.tool_output("", NO_PROGRAM, template, limit)
    if execution.status == "ok":
        return formats.tool_output(execution.stdout, "", template, limit)
    error = ENDED.get(execution.status) or execution.error.strip() or "Error: the program failed without a message"
    return formats.tool_output("", error, template, limit)


def counts(executions: Iterable[Execution | None]) -> dict[str, int]:
    """Programs run, those that raised an error (a call without a program too), and those that the sandbox ended."""
    statuses = [None if execution is None else execution.status for execution in executions]
    return {
        "programs": len(statuses) - statuses.count(None),
        "program_errors": statuses.count("error") + statuses.count(None),
        "sandbox_failure": sum(status in ENDED for status in statuses),
    }
