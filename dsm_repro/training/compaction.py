"""When rows that have ended leave the batch of a decoder: one rule for rollouts and for evaluations."""

from __future__ import annotations

#: they are dropped when fewer than this share of the rows in the batch are still writing
COMPACT_BELOW = 0.75
#: a batch of so few rows is not worth compacting
COMPACT_ROWS = 8


def worth_compacting(rows: int, writing: int) -> bool:
    """Whether a batch of ``rows``, of which ``writing`` have not ended, should go on with those alone."""
    return rows > COMPACT_ROWS and writing < COMPACT_BELOW * rows
