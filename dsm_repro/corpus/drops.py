"""Counting drops while they are written, with a few of each reason for a person to look at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

#: all drops are in ``dropped.jsonl``
EXAMPLES = 3


class DropTally:
    """Drops by reason, and the first few of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def counted(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows (a :class:`Drop` each, as a dict), counted as they pass."""
        for row in rows:
            reason = row["reason"]
            self.counts[reason] += 1
            if len(self.examples[reason]) < EXAMPLES:
                self.examples[reason].append({name: row[name] for name in ("url", "source", "detail")})
            yield row

    def state(self) -> dict[str, Any]:
        """``drops`` and ``drop_examples`` of a record."""
        return {"drops": dict(sorted(self.counts.items())), "drop_examples": dict(sorted(self.examples.items()))}
