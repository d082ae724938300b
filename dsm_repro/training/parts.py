"""Work that is done and kept part by part: nothing is done again after a kill, and several processes share it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.training.together import in_first, own_share, wait_for_all


def in_parts(
    ctx: StageContext, name: str, count: int, work: Callable[[int], dict[str, Any]], unit: str
) -> tuple[list[dict[str, Any]], float]:
    """``work(number)`` for each of ``count`` parts, a JSON object each, and the seconds earlier, killed runs spent.

    Of several processes each does its share of the parts, and then reads those of all.

    Raises:
        Preempted: the process is to end; what was done is kept.
        DataError: a part of an earlier run that cannot be read.
    """
    execution, folder = ctx.config.execution, ctx.scratch / name
    folder.mkdir(exist_ok=True)
    before = in_first(execution, lambda: sorted(folder.glob("*.json")))
    paths = [folder / f"{number:05d}.json" for number in range(count)]
    for number in own_share(execution, [n for n, path in enumerate(paths) if path not in before]):
        ctx.preemption.check()
        began = ctx.now()
        _write(paths[number], {"part": work(number), "seconds": ctx.now() - began})
        ctx.progress(sum(path.exists() for path in paths), count, unit)
    wait_for_all(execution)
    stored = [_read(path) for path in paths]
    return (
        [part for part, _ in stored],
        sum(seconds for path, (_, seconds) in zip(paths, stored, strict=True) if path in before),
    )


def _write(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def _read(path: Path) -> tuple[dict[str, Any], float]:
    try:
        stored = json.loads(path.read_text())
        return dict(stored["part"]), float(stored["seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Delete {path.parent} to do this work again.") from error
