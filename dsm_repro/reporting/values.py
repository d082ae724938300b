"""What a record says, read without trust: a value of another kind is as good as none."""

from __future__ import annotations

from collections.abc import Mapping
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
