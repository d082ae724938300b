"""What a record says, read without trust: a value of another kind is as good as none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_LARGEST = 1e300


def number(value: object) -> float | None:
    """A finite number, else None."""
    # a comparison and not math.isfinite: JSON has integers that no float can hold
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        return None
    return float(value)


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def records(value: object) -> list[Mapping[str, Any]]:
    """The mappings of a list."""
    return [item for item in items(value) if isinstance(item, Mapping)]


def tenths(value: float) -> Decimal:
    """One decimal, halves away from 0.

    Of the six decimals that results.json has at least: 4,000 answers often give 2.05 points, and a page made from the
    records is to say the same of them as one made from that file, whatever their last binary digit.
    """
    if not math.isfinite(value):
        return Decimal(value)
    return Decimal(f"{value:.6f}").quantize(Decimal("0.1"), ROUND_HALF_UP)
