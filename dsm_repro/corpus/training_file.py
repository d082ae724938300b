"""fastText's training file, drawn from more pages than memory holds.

Lines are written to a spool in the order in which they are read, and from there in training order.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: lines asked for at once: what is in memory
_BATCH = 4_096


@dataclass(frozen=True)
class Side:
    """The pages of one label: how many there are, and ``lines(numbers)`` of some of them, numbers ascending."""

    count: int
    lines: Callable[[Sequence[int]], Iterable[str]]

    @classmethod
    def of(cls, lines: Sequence[str]) -> Side:
        """Lines that are in memory."""
        return cls(len(lines), lambda numbers: [lines[number] for number in numbers])


class Spool:
    """Lines on disk, by the order in which they were added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends = [0]

    def fill(self, parts: Iterable[tuple[Side, Sequence[int]]]) -> None:
        """Write the lines of each side that have these numbers (ascending), one side after the other."""
        with self.path.open("wb") as file:
            for side, numbers in parts:
                for start in range(0, len(numbers), _BATCH):
                    for line in side.lines(numbers[start : start + _BATCH]):
                        self._ends.append(self._ends[-1] + file.write(line.encode("utf-8", "replace") + b"\n"))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def read(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """These lines, with their ends, in the order given."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for number in numbers:
                yield text[self._ends[number] : self._ends[number + 1]]
