"""What a record says of the rows of ``samples.jsonl``: counts and shares, all together and by part."""

from __future__ import annotations

from typing import Any


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and shares of one mode. ``truncated``, ``no_answer`` and ``ungradable`` are shares of all problems."""
    categories = sorted({row["category"] for row in rows})
    by_category = {name: [row["correct"] for row in rows if row["category"] == name] for name in categories}
    levels = sorted({row["level"] for row in rows if row["level"]})
    by_level = {str(level): [row["correct"] for row in rows if row["level"] == level] for level in levels}
    executions = [row["execution"] for row in rows if row["execution"] is not None]

    def share(count: int) -> float:
        return count / len(rows)

    return {
        "n": len(rows),
        "accuracy": share(sum(row["correct"] for row in rows)),
        "by_category": {name: _part(flags) for name, flags in by_category.items()},
        **({"by_level": {name: _part(flags) for name, flags in by_level.items()}} if levels else {}),
        "no_answer": share(sum(row["status"] == "no_answer" for row in rows)),
        "ungradable": share(sum(row["status"] == "ungradable" for row in rows)),
        "truncated": share(sum(row["truncated"] for row in rows)),
        "mean_tokens": sum(row["tokens"] for row in rows) / len(rows),
        "executions": {status: executions.count(status) for status in sorted(set(executions))},
        **({"beyond_context": share(beyond)} if (beyond := sum("beyond_context" in row for row in rows)) else {}),
        **_programs(rows),
        **_choices(rows),
        **_tasks(rows),
    }


def _choices(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Where model or rules chose: how each kind of answer did."""
    if "chosen" not in rows[0]:
        return {}
    kinds = {kind: [row["correct"] for row in rows if row["chosen"] == kind] for kind in ("cot", "pot")}
    return {"by_choice": {kind: _part(flags) for kind, flags in kinds.items() if flags}}


def _part(flags: list[bool]) -> dict[str, Any]:
    return {"n": len(flags), "accuracy": sum(flags) / len(flags)}


def _tasks(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several tasks, each one's own; the figures above are those of all their problems together."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    if len(tasks) == 1:
        return {}
    return {"by_task": {task: summary([row for row in rows if row["task"] == task]) for task in tasks}}


def _programs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the mode ``tool``: the release's program accuracy (the last output alone is graded), and calls a problem."""
    if "program_correct" not in rows[0]:
        return {}
    return {
        "program_accuracy": sum(row["program_correct"] for row in rows) / len(rows),
        "mean_calls": sum(row["calls"] for row in rows) / len(rows),
    }
