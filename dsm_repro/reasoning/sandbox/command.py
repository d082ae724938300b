"""``dsm execute FILE.jsonl --out OUT.jsonl``: run a file of model-written Python programs in the sandbox.

A line of the input holds ``id`` and ``program``; its line of the output, in the same order, ``id``, ``status``,
``stdout``, ``error``, ``seconds`` and ``backend`` (:class:`~dsm_repro.reasoning.sandbox.execution.Execution`).

What it does not protect against: flaws of the kernel (no system call is filtered); what lies under /usr and in this
Python's own folder is readable; side channels; memory that is not a process's own (several processes, files in
memory), up to what the machine has. It bounds accidents and casual hostility, not a determined attacker: run what
an attacker wrote on a machine that you can throw away. With ``sandbox.allow_unsandboxed=true`` and nothing that
isolates, programs run with your rights, and ``backend`` says ``subprocess``.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.reasoning.sandbox.controller import Sandbox
from dsm_repro.reasoning.sandbox.execution import Execution

if TYPE_CHECKING:
    from dsm_repro.config.evaluation_schema import SandboxConfig

#: programs read ahead for each worker, so that a slow one does not stop the others
AHEAD = 16


def execute_file(source: Path, out: Path, config: SandboxConfig, workers: int) -> Counter[str]:
    """Run every program of ``source`` and write what came of them to ``out``, which appears whole or not at all.

    Returns how many ended with each status. Neither file is held in memory.

    Raises:
        ConfigError: nothing here isolates a program, a limit that is none, or no worker.
        DataError: a file that cannot be read or written, or a bad line; all lines are read before any is run.
    """
    if workers < 1:
        raise ConfigError(f"--workers={workers}: must be at least 1.")
    for _ in _lines(source):
        pass
    counts: Counter[str] = Counter()
    part = out.with_name(f"{out.name}.part")
    try:
        with Sandbox(config, workers=workers) as sandbox, part.open("w", encoding="utf-8") as file:
            for identifier, execution in _executed(source, sandbox, workers):
                counts[execution.status] += 1
                file.write(json.dumps({"id": identifier, **asdict(execution)}) + "\n")
        part.replace(out)
    except OSError as error:
        raise DataError(f"--out={out}: cannot be written ({error.strerror}). Give another file.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return counts


def _executed(source: Path, sandbox: Sandbox, workers: int) -> Iterator[tuple[Any, Execution]]:
    """Each line's id and outcome, in order, ``workers`` programs at once."""
    waiting: deque[tuple[Any, Future[Execution]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for identifier, program in _lines(source):
                waiting.append((identifier, pool.submit(sandbox.run, program)))
                if len(waiting) > AHEAD * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for identifier, future in waiting:
                yield identifier, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _lines(path: Path) -> Iterator[tuple[Any, str]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _read(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(f"{path}: cannot be read ({why}). Give JSON lines with id and program.") from error


def _read(line: str, where: str) -> tuple[Any, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not a JSON line ({error}). Repair or remove the line.") from error
    lacks = [name for name in ("id", "program") if not isinstance(row, dict) or name not in row]
    if lacks:
        raise DataError(f"{where}: no {' and no '.join(lacks)}. A line needs an object with id and program.")
    if not isinstance(row["program"], str):
        raise DataError(f"{where}: program={row['program']!r:.60}: not a string. Give the program's text.")
    return row["id"], row["program"]
