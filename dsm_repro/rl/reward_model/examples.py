"""What a reward model learns from: solutions as token ids, and a label at the end of each judged step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dsm_repro.config.errors import DataError

#: in the artifact of the stage ``reward_model``
LABELS_FILE = "labels.jsonl"


@dataclass(frozen=True)
class Example:
    """One solution. ``ends`` are positions in ``completion`` (0-based, ascending), ``labels`` lie in [0, 1]."""

    #: id of the question
    question: str
    prompt: Sequence[int]
    completion: Sequence[int]
    ends: Sequence[int]
    labels: Sequence[float]
    #: the rule's verdict on the final answer
    correct: bool
    held_out: bool = False

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.completion)

    def hardened(self) -> Example:
        """Hard estimation (arXiv:2312.08935): a step is right if any completion of it is."""
        return replace(self, labels=[float(label > 0) for label in self.labels])


def write(path: Path, examples: Iterable[Example]) -> None:
    """One JSON object a line; the file is complete or not there."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(json.dumps(asdict(example)) + "\n" for example in examples))
    temporary.replace(path)


def read(path: Path) -> list[Example]:
    """Raises DataError for a file that is missing or damaged."""
    try:
        return [Example(**json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Remove the artifact {path.parent} and run again."
        ) from error


def held_out_questions(questions: Sequence[str], share: float) -> set[str]:
    """The last ``share`` of the questions, at least one and never all."""
    distinct = list(dict.fromkeys(questions))
    count = min(max(round(share * len(distinct)), 1), len(distinct) - 1)
    return set(distinct[len(distinct) - count :])
