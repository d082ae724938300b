"""How many problems there are of those that a config asks for: for the plan, where their file is at hand."""

from __future__ import annotations

import functools
from pathlib import Path

from dsm_repro.config.schema import Config
from dsm_repro.reasoning.problemset import problem_path


def problems_there(config: Config, split: str) -> int | None:
    """Problems in the file of a split (``train`` | ``rl``). None without one: the miniature makes as many as are asked
    for, and a file may be on another machine only."""
    if config.problems.source != "jsonl":
        return None
    path = problem_path(config.problems, split)[1]
    try:
        stat = path.stat()
        return _lines(path, stat.st_mtime_ns, stat.st_size) if path.is_file() else None
    except OSError:
        return None


def shortage_note(config: Config, split: str, key: str, asked: int) -> tuple[str, ...]:
    """A note for the plan where ``key`` asks for more problems than the file of the split has."""
    there = problems_there(config, split)
    if there is None or asked <= there:
        return ()
    file = problem_path(config.problems, split)[0]
    return (f"{key}={asked}: {file} has {there:,}, and no more are used",)


@functools.lru_cache(maxsize=64)
def _lines(path: Path, modified: int, size: int) -> int:
    """Lines that are not empty. Estimates of one plan ask again and again; a changed file is read anew."""
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())
