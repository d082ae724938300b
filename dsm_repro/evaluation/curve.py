"""Accuracy along the way: the policy's snapshots and its start, asked what the final evaluation asks.

``curve.json`` has, for each mode, one point per evaluated model: what the stage ``rl`` had spent by then (steps,
FLOPs, generated and trained tokens, the share of its budget), and which questions were answered right. Greedy or not,
the decoding is the final evaluation's. Wall-clock is not in it, so that the file does not depend on the machine: the
seconds of a step stand in ``times.jsonl`` of the stage ``rl``, and the report joins the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError
from dsm_repro.evaluation.run import accuracy_of
from dsm_repro.evaluation.taskdata import test_problems
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.training import snapshots

CURVE_FILE = "curve.json"
#: before the first step
START = {"share": 0.0, "step": 0, "flops": 0.0, "tokens": 0.0, "tokens_trained": 0.0}


def trace(ctx: StageContext, start: Path, rl: Path) -> None:
    """Evaluate the model in ``start/model`` and every snapshot in ``rl``; write ``curve.json``.

    The last point is the final evaluation (``samples.jsonl``, which must be there), on the same problems.

    Raises:
        DataError: the artifact of the stage rl, or the final evaluation, is not as they leave it.
    """
    part = ctx.config.evaluation
    problems = {task: found[: part.curve_problems] for task, found in test_problems(ctx.config).items()}
    questions = [(task, problem.id) for task, found in problems.items() for problem in found]
    models = [(START, start / "model")]
    models += [(point, rl / snapshots.FOLDER / str(point["index"])) for point in snapshots.read(rl)]
    points: dict[str, list[dict[str, Any]]] = {mode: [] for mode in part.modes}
    for number, (spent, folder) in enumerate(models):
        told = replace(ctx, on_progress=_part_of(ctx, number, len(models)))
        for mode, right in accuracy_of(told, folder, problems).items():
            points[mode].append(_point(spent, right))
    final, end = _final(ctx.out), _end(rl)
    for mode in part.modes:
        points[mode].append(_point(end, [final[mode, *question] for question in questions]))
    value = {"questions": ["/".join(question) for question in questions], "modes": points}
    (ctx.out / CURVE_FILE).write_text(json.dumps(value, indent=1, sort_keys=True))


def _point(spent: dict[str, Any], right: list[bool]) -> dict[str, Any]:
    return {
        **{name: spent[name] for name in START},
        "n": len(right),
        "accuracy": sum(right) / len(right),
        # in the order of the questions
        "right": "".join("1" if answer else "0" for answer in right),
    }


def _end(rl: Path) -> dict[str, Any]:
    """What the whole stage spent."""
    path = rl / "record.json"
    try:
        record = json.loads(path.read_text())
        return {
            "share": 1.0,
            "step": record["steps"],
            "flops": record["flops"]["total"],
            "tokens": record["tokens_generated"],
            "tokens_trained": record.get("tokens_trained", 0.0),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: does not say what was spent ({error!r}). Run the stage rl again.") from error


def _final(out: Path) -> dict[tuple[str, str, str], bool]:
    """(mode, task, problem) -> whether the final evaluation found the answer right."""
    rows = (json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines())
    return {(row["mode"], row["task"], row["id"]): bool(row["correct"]) for row in rows}


def _part_of(ctx: StageContext, number: int, count: int) -> Callable[[float, float, str], None]:
    """Progress of one model among several, as progress of them all."""
    return lambda done, total, unit: ctx.progress(number * total + done, count * total, unit)
