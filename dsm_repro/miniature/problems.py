"""Problems with questions, answers, worked solutions and programs: train and test disjoint by construction.

Whether a problem is for training or for testing is decided by the hash of its canonical question, so
the two splits cannot meet whatever the seed and however many are drawn.

Declared property of this world: **solutions come in two styles**. ``cot`` writes every step;
``cot_terse`` skips them, and in some categories that is the habit (:func:`is_terse`). Fine-tuning on
such data leaves a policy that often answers too quickly, and reinforcement learning has something to
find: the careful solutions. On a policy whose data were all equally good it found nothing
(``docs/miniature.md`` has the figures).
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from dsm_repro.config.errors import ConfigError
from dsm_repro.miniature.families import FAMILIES, Draft

CATEGORIES: tuple[str, ...] = tuple(FAMILIES)
SPLITS = ("train", "test")
LEVELS = (1, 2, 3, 4, 5)
#: where people think a question easy and skip the steps; elsewhere they do so a third as often
HASTY_CATEGORIES = frozenset({"Algebra", "Geometry", "Precalculus", "Word Problems"})
#: one canonical question in this many is a test problem
TEST_ONE_IN = 5
#: draws without a new problem before the family counts as exhausted
MAX_FRUITLESS_DRAWS = 2_000


@dataclass(frozen=True)
class Problem:
    """A question with its answer, its solution in two styles, and a program that prints the answer."""

    id: str
    category: str
    level: int
    question: str
    answer: str
    cot: str
    cot_terse: str
    program: str


def canonical(question: str) -> str:
    """The form of a question that decides identity: lower case, single spaces."""
    return " ".join(question.lower().split())


def problem_id(question: str) -> str:
    return hashlib.sha256(canonical(question).encode()).hexdigest()[:16]


def split_of(question: str) -> str:
    """``train`` or ``test``, from the hash of the canonical question alone."""
    return "test" if int(problem_id(question), 16) % TEST_ONE_IN == 0 else "train"


def is_terse(problem: Problem, terse_share: float, seed: int) -> bool:
    """Whether the one solution that a person wrote down for this problem skips its steps.

    The probability is ``terse_share`` in the hasty categories and a third of it elsewhere; the draw
    depends on the problem and the seed alone.
    """
    share = terse_share if problem.category in HASTY_CATEGORIES else terse_share / 3
    return random.Random(f"style/{seed}/{problem.id}").random() < share


def finish(category: str, level: int, draft: Draft) -> Problem:
    """Give a draft its identity and write out its solutions."""
    answer = str(draft.answer)
    boxed = f"\\boxed{{{answer}}}"
    header = "import math\n" if "math." in draft.expression else ""
    return Problem(
        id=problem_id(draft.question),
        category=category,
        level=level,
        question=draft.question,
        answer=answer,
        cot=" ".join(f"{step}." for step in draft.steps) + f" {boxed}",
        cot_terse=boxed,
        program=f"{header}x = {draft.expression}\nprint(x)",
    )


def problems(split: str, count: int, seed: int) -> list[Problem]:
    """``count`` distinct problems of a split, the categories in turn, the same ones for the same seed.

    Raises:
        ConfigError: unknown split, or more problems asked for than a family has.
    """
    if split not in SPLITS:
        raise ConfigError(f"problem split {split!r}: use one of {', '.join(SPLITS)}")
    found: list[Problem] = []
    seen: set[str] = set()
    streams = {name: random.Random(f"problems/{seed}/{split}/{name}") for name in CATEGORIES}
    for index in range(count):
        category = CATEGORIES[index % len(CATEGORIES)]
        found.append(_draw(category, split, streams[category], seen, count))
    return found


def _draw(category: str, split: str, rng: random.Random, seen: set[str], count: int) -> Problem:
    for _ in range(MAX_FRUITLESS_DRAWS):
        level = rng.choice(LEVELS)
        draft = FAMILIES[category](rng, level)
        # whole numbers without a sign, in the steps too: tiny models have enough to learn
        if any("=-" in step for step in draft.steps) or split_of(draft.question) != split:
            continue
        problem = finish(category, level, draft)
        if problem.id not in seen:
            seen.add(problem.id)
            return problem
    raise ConfigError(
        f"{count} miniature {split} problems: the family {category!r} has no more new ones. Ask for fewer problems."
    )
