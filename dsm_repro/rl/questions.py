"""The questions that reinforcement learning explores, and the order in which it meets them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config

#: added to ``problems.seed``: RL draws its own questions of the training split, not SFT's in SFT's order
SEED_OFFSET = 1_000


@dataclass(frozen=True)
class Question:
    text: str
    answer: str


def load_questions(config: Config) -> list[Question]:
    """The ``rl.questions`` training questions of ``problems.source``.

    Raises:
        ConfigError: an unknown source, or fewer questions than one step takes.
        DataError: a jsonl file that is missing or has a line without question or answer.
    """
    source = config.problems.source
    if source == "miniature":
        from dsm_repro.miniature.problems import problems

        drawn = problems("train", config.rl.questions, config.problems.seed + SEED_OFFSET)
        questions = [Question(problem.question, problem.answer) for problem in drawn]
    elif source == "jsonl":
        questions = _read(Path(config.problems.train_path), config.rl.questions)
    else:
        raise ConfigError(f"problems.source={source}: use miniature or jsonl.")
    if len(questions) < config.rl.questions_per_step:
        raise ConfigError(
            f"rl.questions_per_step={config.rl.questions_per_step}: only {len(questions)} questions are there "
            f"(rl.questions={config.rl.questions}). Lower rl.questions_per_step or give more questions."
        )
    return questions


def _read(path: Path, limit: int) -> list[Question]:
    questions: list[Question] = []
    try:
        with path.open() as lines:
            for number, line in enumerate(lines, 1):
                if len(questions) == limit:
                    break
                row = json.loads(line)
                questions.append(Question(str(row["question"]), str(row["answer"])))
    except OSError as error:
        raise DataError(f"problems.train_path={path}: cannot be read ({error.strerror}). Give an existing file.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}, line {number}: needs JSON with question and answer ({error!r}). Correct the line.") from error
    return questions


def questions_of_step(count: int, per_step: int, seed: int, exploration: int) -> list[int]:
    """Indices of the questions of one exploration stage, a function of its arguments alone.

    Without replacement within an epoch; each epoch has its own order, and the fewer than ``per_step``
    questions left at its end wait for another epoch.
    """
    per_epoch = count // per_step
    epoch, position = divmod(exploration, per_epoch)
    order = list(range(count))
    random.Random(f"rl/questions/{seed}/{epoch}").shuffle(order)
    return order[position * per_step : (position + 1) * per_step]
