"""What a rule set may ask of a computer algebra system. Here the answer is always "do not know".

Rules run first in the caller's process with this one. Only where it left them undecided do they run again, in a
worker process that can be killed, with the one that parses (``grading/worker.py``).
"""

from __future__ import annotations


class Algebra:
    """Each method says True, False, or None: not known."""

    def equal(self, prediction: str, gold: str) -> bool | None:
        """Equal as math-verify sees it."""
        return None

    def difference_is_zero(self, prediction: str, gold: str) -> bool | None:
        """``simplify(a - b) == 0``."""
        return None

    def values_close(self, prediction: str, gold: str, tolerance: float) -> bool | None:
        """Both have a numerical value, and they are no further apart than ``tolerance``."""
        return None


UNKNOWN = Algebra()


def either(*values: bool | None) -> bool | None:
    """``or``: True if one is; None if none is and one is not known."""
    if any(value is True for value in values):
        return True
    return None if None in values else False


def every(*values: bool | None) -> bool | None:
    """``and``: False if one is; None if none is and one is not known."""
    if any(value is False for value in values):
        return False
    return None if None in values else True
