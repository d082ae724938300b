"""Pairs of a right and a wrong completion of one question, and the order in which they are learned from.

Token ids are carried as they were sampled; nothing is decoded and tokenised again on the way to the loss.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.rl.accounting import Lengths
from dsm_repro.rl.experience import Exploration, Metrics, join_explorations

PAIRS_FILE = "pairs.jsonl"
STATE_FILE = "pairs.json"


@dataclass(frozen=True)
class Pair:
    """Token ids, under the names that TRL's collator wants."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    #: 1 on the tokens that the policy wrote, 0 on a tool's output; None: it wrote all of them
    chosen_written: list[int] | None = None
    rejected_written: list[int] | None = None

    @property
    def longest(self) -> int:
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))

    @property
    def trained(self) -> int:
        """Tokens with a weight in the loss."""
        chosen = len(self.chosen_ids) if self.chosen_written is None else sum(self.chosen_written)
        rejected = len(self.rejected_ids) if self.rejected_written is None else sum(self.rejected_written)
        return chosen + rejected


def lengths(pairs: Sequence[Pair]) -> Lengths:
    """For the FLOPs: TRL reads the prompt once for each of the two completions."""
    completions = [ids for pair in pairs for ids in (pair.chosen_ids, pair.rejected_ids)]
    return Lengths([len(pair.prompt_ids) for pair in pairs for _ in range(2)], [[len(ids)] for ids in completions])


def find_pairs(found: Exploration, group_size: int, limit: int, seed: int, number: int) -> list[Pair]:
    """The pairs of exploration ``number``, by question in the order of asking.

    A question's right completions and its others are each put in an order drawn from (seed, number, question), then
    matched first with first: ``min(right, others, limit)`` pairs, no completion in two. What the grader does not call
    right is wrong here, as for the rule reward: no answer and ungradable ones too.
    """
    batch, pairs, sizes = found.batch, [], found.batch.lengths.tolist()
    correct = found.correct.tolist()
    ids = [row[:size] for row, size in zip(batch.completion_ids.tolist(), sizes, strict=True)]
    written = [row[:size] for row, size in zip(batch.written.tolist(), sizes, strict=True)]
    for start in range(0, len(ids), group_size):
        group = range(start, start + group_size)
        owner = int(batch.owner[start])
        prompt = batch.prompt_ids[owner][batch.prompt_mask[owner].bool()].tolist()
        right, wrong = [i for i in group if correct[i]], [i for i in group if not correct[i]]
        order = random.Random(f"rl/pairs/{seed}/{number}/{start // group_size}")
        order.shuffle(right)
        order.shuffle(wrong)
        for i, j in list(zip(right, wrong, strict=False))[:limit]:
            masks = [None if all(written[row]) else written[row] for row in (i, j)]
            pairs.append(Pair(prompt, ids[i], ids[j], *masks))
    return pairs


@dataclass(frozen=True)
class Draw:
    """The pairs of one step, and what was sampled for them: nothing where earlier pairs are repeated."""

    pairs: list[Pair]
    metrics: Metrics
    flops: dict[str, float]


class PairStream:
    """Pairs, step by step: a function of seed and step.

    In the first epoch completions are drawn from the starting model as pairs are wanted, each question once. The
    epochs after it take the same pairs, each in an order of its own. After the last epoch the questions are asked
    again. An epoch's last step may have fewer pairs than asked for; none has a pair twice.

    Args:
        explore: exploration stage ``number`` of the starting model.
        explorations: how many of them make a pass over the questions.
        folder: where the pairs are kept for later epochs, over a kill.
    """

    def __init__(
        self,
        explore: Callable[[int], Exploration],
        explorations: int,
        group_size: int,
        per_question: int,
        epochs: int | None,
        seed: int,
        folder: Path,
    ) -> None:
        self.explore, self.explorations, self.group_size = explore, explorations, group_size
        self.per_question, self.epochs, self.seed = per_question, epochs, seed
        self.file = PairFile(folder / PAIRS_FILE)
        self.passes = self.explored = self.epoch = self.position = 0
        #: where the pairs of this pass begin in the file
        self.start = 0

    def take(self, wanted: int) -> Draw:
        """The next pairs: at least one, at most ``wanted``.

        Raises:
            ConfigError: a whole pass over the questions has no pair.
        """
        drawn: list[Exploration] = []
        found = 0
        while True:
            while self.epoch == 0 and self.explored < self.explorations and self._left() < wanted:
                number = self.passes * self.explorations + self.explored
                exploration = self.explore(number)
                pairs = find_pairs(exploration, self.group_size, self.per_question, self.seed, number)
                self.file.append(pairs)
                self.explored += 1
                found += len(pairs)
                drawn.append(exploration)
            if len(self.file) == self.start:
                raise self._no_pair(drawn)
            chosen = self._order()[self.position : self.position + wanted]
            self.position += len(chosen)
            if self._left() == 0 and self.explored == self.explorations:
                self._next_epoch()
            if chosen:
                break
        sampled = join_explorations(drawn, pad_id=0) if drawn else None
        metrics = dict(_NOTHING if sampled is None else sampled.metrics)
        metrics.update(self._questions(drawn), pairs_found=found, pairs=len(chosen))
        return Draw([self.file[i] for i in chosen], metrics, {} if sampled is None else sampled.flops)

    def _left(self) -> int:
        return len(self.file) - self.start - self.position

    def _order(self) -> list[int]:
        indices = list(range(self.start, len(self.file)))
        if self.epoch > 0:
            random.Random(f"rl/pairs/{self.seed}/{self.passes}/epoch {self.epoch}").shuffle(indices)
        return indices

    def _next_epoch(self) -> None:
        self.epoch, self.position = self.epoch + 1, 0
        if self.epoch == self.epochs:
            self.passes, self.explored, self.epoch, self.start = self.passes + 1, 0, 0, len(self.file)

    def _questions(self, drawn: Sequence[Exploration]) -> Metrics:
        groups = [g for exploration in drawn for g in exploration.correct.view(-1, self.group_size).tolist()]
        return {
            "questions": len(groups),
            "questions_all_right": sum(map(all, groups)),
            "questions_none_right": sum(not any(group) for group in groups),
        }

    def _no_pair(self, drawn: Sequence[Exploration]) -> ConfigError:
        counts = self._questions(drawn)
        return ConfigError(
            f"rl=dpo: not one of {counts['questions']} questions has both a right and a wrong answer among its "
            f"{self.group_size} completions by the starting model ({counts['questions_all_right']} all right, "
            f"{counts['questions_none_right']} none right), so there is no pair to learn from. Raise rl.group_size, "
            "rl.temperature or rl.questions, or start from a model that answers some of them."
        )

    def save(self, folder: Path) -> None:
        """Put beside a checkpoint where the stream stands; the pairs stay in their own file."""
        self.file.sync()
        (folder / STATE_FILE).write_text(json.dumps({**self._state(), "pairs": len(self.file)}))

    def load(self, folder: Path) -> None:
        """Go on where ``save`` was called.

        Raises:
            DataError: the state or the pairs cannot be read.
        """
        path = folder / STATE_FILE
        try:
            state = json.loads(path.read_text())
            self.passes, self.explored, self.epoch, self.position, self.start = (int(state[k]) for k in self._state())
            self.file.recover(int(state["pairs"]))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{path}: the pairs of the killed run cannot be read ({error}). Delete {folder.parent} to start over."
            ) from error

    def _state(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("passes", "explored", "epoch", "position", "start")}


class PairFile:
    """A list of pairs on disk: at the paper's size they are gigabytes. Starts empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: where each line begins, and where the file ends
        self.offsets = [0]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Pair:
        with self.path.open("rb") as file:
            file.seek(self.offsets[index])
            return Pair(**json.loads(file.read(self.offsets[index + 1] - self.offsets[index])))

    def append(self, pairs: Sequence[Pair]) -> None:
        # not in append mode: what a killed run wrote after its checkpoint is overwritten
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.seek(self.offsets[-1])
            file.truncate()
            for pair in pairs:
                line = json.dumps(asdict(pair)).encode() + b"\n"
                file.write(line)
                self.offsets.append(self.offsets[-1] + len(line))

    def sync(self) -> None:
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def recover(self, count: int) -> None:
        """Take up the first ``count`` pairs of an earlier process. Raises ValueError where there are fewer."""
        self.offsets = [0]
        with self.path.open("rb") as file:
            for line in file:
                if len(self) == count:
                    break
                self.offsets.append(self.offsets[-1] + len(line))
        if len(self) != count:
            raise ValueError(f"{self.path} has {len(self)} pairs, the checkpoint is of {count}")


#: of a step for which nothing was sampled
_NOTHING: Metrics = {
    "completions": 0, "tokens_generated": 0, "reward_mean": None, "right": 0, "wrong": 0, "no_answer": 0,
    "ungradable": 0, "truncated": 0, "zero_variance_groups": None, "completion_length": None,
}  # fmt: skip
