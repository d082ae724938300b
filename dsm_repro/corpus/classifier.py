"""The fastText classifier of §2.1: dim 256, learning rate 0.1, word n-grams ≤ 3, minCount 3, 3 epochs.

The paper does not give loss, buckets or subwords: softmax over two labels, ``bucket`` from the
configuration and no subwords (fastText's default for supervised training) are ours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import ClassifierConfig
from dsm_repro.corpus.tokens import tokenize

POSITIVE, NEGATIVE = "__label__math", "__label__other"


@dataclass(frozen=True)
class HeldOut:
    """Counts on pages kept from training, at score 0.5. Negatives are random crawl pages, so some of them are maths."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float | None:
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else None

    @property
    def recall(self) -> float | None:
        there = self.true_positives + self.false_negatives
        return self.true_positives / there if there else None

    def state(self) -> dict[str, Any]:
        return {**asdict(self), "precision": self.precision, "recall": self.recall}


class Classifier:
    """A trained model and how it did on the held-out pages. ``model`` is a fastText model."""

    def __init__(self, model: Any, held_out: HeldOut) -> None:
        self.model = model
        self.held_out = held_out

    def scores(self, lines: Sequence[str]) -> list[float]:
        """Probability of "maths" of each page, as :func:`line` wrote it."""
        return [_score(self.model, text) for text in lines]

    def save(self, path: Path) -> None:
        self.model.save_model(str(path))


def line(text: str) -> str:
    """A page as fastText reads it: maths-preserving tokens on one line."""
    return " ".join(tokenize(text))


def train(
    positives: Sequence[str], negatives: Sequence[str], config: ClassifierConfig, seed: int, folder: Path
) -> Classifier:
    """Train on lines of both labels, all but ``holdout_share`` of each, in seeded random order.

    Draws are balanced as configured (§2.1: 500,000 of each): a linear model with a learning rate of 0.1
    and 3 epochs ranks nothing on an unbalanced handful of pages. Where a side has too few pages they are
    drawn repeatedly, at most ``max_repeats`` times each, and the other side shrinks in proportion.
    With ``threads`` = 1 the model's bytes are a function of the arguments.

    Raises:
        DataError: a side is empty.
    """
    import fasttext

    if not positives or not negatives:
        raise DataError(
            f"classifier: {len(positives)} positives, {len(negatives)} negatives: both are needed. "
            "Give seed documents (corpus.seed_paths) and a crawl with other pages."
        )
    rng = random.Random(f"classifier/{seed}")
    kept_positives, tested_positives = _split(positives, config.holdout_share, rng)
    kept_negatives, tested_negatives = _split(negatives, config.holdout_share, rng)
    wanted_positives, wanted_negatives = draws(len(kept_positives), len(kept_negatives), config)
    rows = [f"{POSITIVE} {text}" for text in _draw(kept_positives, wanted_positives, rng)]
    rows += [f"{NEGATIVE} {text}" for text in _draw(kept_negatives, wanted_negatives, rng)]
    rng.shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "classifier.txt"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    model = fasttext.train_supervised(
        str(path),
        dim=config.dim,
        lr=config.learning_rate,
        wordNgrams=config.word_ngrams,
        minCount=config.min_count,
        epoch=config.epochs,
        bucket=config.bucket,
        thread=config.threads,
        loss="softmax",
        seed=rng.randrange(1, 2**31),
        verbose=0,
    )
    hits = [_score(model, text) >= 0.5 for text in tested_positives]
    alarms = [_score(model, text) >= 0.5 for text in tested_negatives]
    held_out = HeldOut(sum(hits), sum(alarms), len(hits) - sum(hits), len(alarms) - sum(alarms))
    return Classifier(model, held_out)


def draws(positives: int, negatives: int, config: ClassifierConfig) -> tuple[int, int]:
    """How many training examples each side gives, in the configured ratio, from so many distinct pages."""
    share = min(
        1.0,
        config.max_repeats * positives / config.positives,
        config.max_repeats * negatives / config.negatives,
    )
    return max(round(share * config.positives), 1), max(round(share * config.negatives), 1)


def _draw(lines: list[str], count: int, rng: random.Random) -> list[str]:
    """Every line equally often, up to one; ``lines`` are in random order already."""
    whole, rest = divmod(count, len(lines))
    return lines * whole + rng.sample(lines, rest)


def _split(lines: Sequence[str], share: float, rng: random.Random) -> tuple[list[str], list[str]]:
    shuffled = list(lines)
    rng.shuffle(shuffled)
    tested = min(int(len(shuffled) * share), len(shuffled) - 1)
    return shuffled[tested:], shuffled[:tested]


def _score(model: Any, text: str) -> float:
    labels, probabilities = model.predict(text, k=2)
    score = dict(zip(labels, probabilities, strict=True)).get(POSITIVE, 0.0)
    # fastText adds 1e-5 before it takes the logarithm, so a sure page scores just above 1
    return min(float(score), 1.0)
