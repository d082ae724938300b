"""Published hyper-parameters beside the ones used: every deviation is shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dsm_repro.reporting.records import Sweep

#: first part of a config path -> the stage that reads it, where the names differ
_STAGE_OF = {"evaluation": "evaluate", "mix": "pretrain", "reward": "rl"}
_STAGES_WITH_SETTINGS = {"corpus", "base", "pretrain", "sft", "reward_model", "rl", "evaluate"}


@dataclass(frozen=True)
class Deviation:
    path: str
    published: str
    source: str
    used: str
    #: same | differs | varies (arms differ) | not used (no arm has the stage) | no setting
    status: str


def show(value: Any) -> str:
    """A config value as a reader wants it: 4.2e-04 -> 0.00042, None -> none, lists without quotes."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {show(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(show(v) for v in value) or "none"
    return str(value)


def _same(a: Any, b: Any) -> bool:
    numbers = (int, float)
    if isinstance(a, numbers) and isinstance(b, numbers) and not isinstance(a, bool) and not isinstance(b, bool):
        return math.isclose(a, b, rel_tol=1e-9)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _flatten(published: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(path, value, source) of {path: {value, source}}, with nested groups allowed."""
    for key, item in published.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping) and "value" in item:
            yield path, item["value"], str(item.get("source", ""))
        elif isinstance(item, Mapping):
            yield from _flatten(item, f"{path}.")
        else:
            yield path, item, ""


_ABSENT = object()


def _at(config: Mapping[str, Any], path: str) -> Any:
    node: Any = config
    for part in path.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return _ABSENT
        node = node[part]
    return node


def deviations(sweep: Sweep) -> list[Deviation]:
    """One row per published value that any arm's config carries, in the config's order."""
    published: dict[str, tuple[Any, str]] = {}
    for run in sweep.runs:
        for path, value, source in _flatten(run.config.get("published") or {}):
            published.setdefault(path, (value, source))
    return [_row(sweep, path, value, source) for path, (value, source) in published.items()]


def _row(sweep: Sweep, path: str, value: Any, source: str) -> Deviation:
    group = path.split(".")[0]
    stage = _STAGE_OF.get(group, group)
    runs = [r for r in sweep.runs if stage not in _STAGES_WITH_SETTINGS or stage in r.keys]
    if not runs:
        return Deviation(path, show(value), source, "\N{EM DASH}", "not used")
    used: list[tuple[Any, list[str]]] = []
    for run in runs:
        found = _at(run.config, path)
        for seen, arms in used:
            if found is seen or (found is not _ABSENT and seen is not _ABSENT and _same(found, seen)):
                arms.append(run.arm)
                break
        else:
            used.append((found, [run.arm]))
    if all(found is _ABSENT for found, _ in used):
        return Deviation(path, show(value), source, "\N{EM DASH}", "no setting")
    if len(used) > 1:
        parts = [
            f"{', '.join(dict.fromkeys(arms))}: {'absent' if found is _ABSENT else show(found)}" for found, arms in used
        ]
        return Deviation(path, show(value), source, "; ".join(parts), "varies")
    found = used[0][0]
    return Deviation(path, show(value), source, show(found), "same" if _same(found, value) else "differs")
