"""A set of 64-bit numbers larger than memory: sorted runs on disk, merged as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: what a number takes while it is sorted or merged: itself, a copy, and the masks between them
_BYTES_PER_NUMBER = 32
_FEWEST = 1_000


class Spill:
    """Collects numbers (uint64) in any order and with repetitions; gives them back sorted, each once."""

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        self._folder = folder
        self._room = max(_FEWEST, memory_bytes // _BYTES_PER_NUMBER)
        self._waiting: list[np.ndarray] = []
        self._size = 0
        self._runs: list[Path] = []

    def add(self, numbers: np.ndarray) -> None:
        """Add some numbers; they are written when enough have come together."""
        for start in range(0, len(numbers), self._room):
            part = numbers[start : start + self._room]
            self._waiting.append(part)
            self._size += len(part)
            if self._size >= self._room:
                self._write()

    def blocks(self) -> Iterator[np.ndarray]:
        """All numbers added so far in ascending order, each once, in blocks of bounded size."""
        import numpy as np

        self._write()
        runs = [np.load(path, mmap_mode="r") for path in self._runs]
        places = [0] * len(runs)
        step = max(1, self._room // max(len(runs), 1))
        while heads := [(run, place) for run, place in zip(runs, places, strict=True) if place < len(run)]:
            # no run has a number up to the least of these ends beyond its own next step
            end = min(run[min(place + step, len(run)) - 1] for run, place in heads)
            parts = []
            for index, run in enumerate(runs):
                window = run[places[index] : places[index] + step]
                taken = int(np.searchsorted(window, end, side="right"))
                parts.append(np.array(window[:taken]))
                places[index] += taken
            yield np.unique(np.concatenate(parts))

    def _write(self) -> None:
        import numpy as np

        if not self._size:
            return
        path = self._folder / f"run-{len(self._runs):05d}.npy"
        np.save(path, np.unique(np.concatenate(self._waiting)))
        self._runs.append(path)
        self._waiting, self._size = [], 0
