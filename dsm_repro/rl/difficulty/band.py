"""Which of the questions that were tried lie in the band: light, for the identity and the plan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import Config

FILE = "pass_rates.jsonl"


@dataclass(frozen=True)
class PassRate:
    """What came of the answers to one question."""

    id: str
    right: int
    drawn: int

    def within(self, at_least: float, at_most: float) -> bool:
        """Whether the share of right answers lies between the two, both included."""
        return at_least <= self.right / self.drawn <= at_most


def band(config: Config) -> list[float]:
    """The pass rates that are explored, for the identity of ``rl``."""
    return [config.difficulty.at_least, config.difficulty.at_most]


def write(folder: Path, rates: Sequence[PassRate]) -> None:
    """One JSON object a line, in the order of the questions."""
    (folder / FILE).write_text("".join(json.dumps(asdict(rate)) + "\n" for rate in rates), encoding="utf-8")


def read(folder: Path) -> list[PassRate]:
    """Raises DataError for a file that cannot be read."""
    path = folder / FILE
    try:
        return [PassRate(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Delete the artifact, and it is made again.") from error
