"""The folder of a stage that is not published yet, or that failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Staging:
    """Where a stage works before it is published; survives a kill."""

    path: Path

    @property
    def out(self) -> Path:
        return self.path / "out"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    @property
    def error(self) -> Path:
        return self.path / "error.json"

    @property
    def reserve(self) -> Path:
        """Space held back, so that a full disk can still be reported in ``error``."""
        return self.path / "reserve"
