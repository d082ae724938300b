"""The fastText classifier of §2.1: dim 256, learning rate 0.1, word n-grams ≤ 3, minCount 3, 3 epochs.

The paper does not give loss, buckets or subwords: softmax over two labels, ``bucket`` from the
configuration and no subwords (fastText's default for supervised training) are ours.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsm_repro.config.corpus_schema import ClassifierConfig
from dsm_repro.config.errors import DataError
from dsm_repro.corpus.tokens import tokenize
from dsm_repro.corpus.training_file import Side, Spool
from dsm_repro.pipeline.identity import file_digest

POSITIVE, NEGATIVE = "__label__math", "__label__other"
#: in the training folder: what was trained on, the model, and the digests that tie them together
EXAMPLES, MODEL, TRAINED = "classifier.txt", "classifier.bin", "classifier.json"
CALIBRATION_BINS = 10


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


@dataclass(frozen=True)
class Classifier:
    """A trained model as a file (a large one is not kept in memory), and how it did on the held-out pages."""

    path: Path
    held_out: HeldOut
    #: by bin of score: held-out pages, and the share of them that is positive (None without pages)
    calibration: list[dict[str, Any]]

    def scores(self, lines: Iterable[str]) -> list[float]:
        """Probability of "maths" of each page, as :func:`line` wrote it."""
        return list(score_lines(load(self.path), lines))


def line(text: str) -> str:
    """A page as fastText reads it: maths-preserving tokens on one line."""
    return " ".join(tokenize(text))


def load(path: Path) -> Any:
    """The fastText model of a file. Raises :class:`DataError` if it is none."""
    import fasttext

    try:
        return fasttext.load_model(str(path))
    except ValueError as error:
        raise DataError(f"{path}: no fastText model ({error}). Delete it and run again.") from error


def score_lines(model: Any, lines: Iterable[str]) -> Iterator[float]:
    """Probability of "maths", from 0 to 1, of each page as :func:`line` wrote it."""
    for text in lines:
        labels, probabilities = model.predict(text, k=2)
        # fastText adds 1e-5 before it takes the logarithm, so a sure page scores just above 1
        yield min(float(dict(zip(labels, probabilities, strict=True)).get(POSITIVE, 0.0)), 1.0)


def train(
    positives: Sequence[str] | Side, negatives: Sequence[str] | Side, config: ClassifierConfig, seed: int, folder: Path
) -> Classifier:
    """Train on lines of both labels, all but ``holdout_share`` of each, in seeded random order.

    Draws are balanced as configured (§2.1: 500,000 of each): a linear model with a learning rate of 0.1
    and 3 epochs ranks nothing on an unbalanced handful of pages. Where a side has too few pages they are
    drawn repeatedly, at most ``max_repeats`` times each, and the other side shrinks in proportion. Where
    it has more, only the pages drawn are read.

    With ``threads`` = 1 the model's bytes are a function of the arguments. A model that ``folder`` holds
    already, of the same examples, is loaded and not trained again.

    Raises:
        DataError: a side is empty, or fastText cannot learn from these pages with these settings.
    """
    sides = [side if isinstance(side, Side) else Side.of(side) for side in (positives, negatives)]
    if not all(side.count for side in sides):
        raise DataError(
            f"classifier: {sides[0].count} positives, {sides[1].count} negatives: both are needed. "
            "Give seed documents (corpus.seed_paths) and a crawl with other pages."
        )
    rng = random.Random(f"classifier/{seed}")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [
        sorted(_sample(side.count, most, config.holdout_share, rng))
        for side, most in zip(sides, (config.positives, config.negatives), strict=True)
    ]
    spool = Spool(folder / "lines.txt")
    spool.fill(zip(sides, drawn, strict=True))
    first_negative = len(drawn[0])
    kept_positives, tested_positives = _split(range(first_negative), config.holdout_share, rng)
    kept_negatives, tested_negatives = _split(range(first_negative, len(spool)), config.holdout_share, rng)
    wanted_positives, wanted_negatives = draws(len(kept_positives), len(kept_negatives), config)
    chosen = _draw(kept_positives, wanted_positives, rng) + _draw(kept_negatives, wanted_negatives, rng)
    rng.shuffle(chosen)
    examples = folder / EXAMPLES
    with examples.open("wb") as file:
        for number, text in zip(chosen, spool.read(chosen), strict=True):
            file.write(f"{POSITIVE if number < first_negative else NEGATIVE} ".encode() + text)
    model = _fitted(examples, config, rng.randrange(1, 2**31), folder)
    tested = [*tested_positives, *tested_negatives]
    scores = list(score_lines(model, (text[:-1].decode() for text in spool.read(tested))))
    spool.path.unlink()
    labels = [number < first_negative for number in tested]
    return Classifier(folder / MODEL, _held_out(labels, scores), calibration(labels, scores))


def draws(positives: int, negatives: int, config: ClassifierConfig) -> tuple[int, int]:
    """How many training examples each side gives, in the configured ratio, from so many distinct pages."""
    share = min(
        1.0,
        config.max_repeats * positives / config.positives,
        config.max_repeats * negatives / config.negatives,
    )
    return max(round(share * config.positives), 1), max(round(share * config.negatives), 1)


def calibration(labels: Sequence[bool], scores: Sequence[float]) -> list[dict[str, Any]]:
    """Ten bins of equal width: pages with such a score, and the share of them that is positive."""
    bins: list[list[bool]] = [[] for _ in range(CALIBRATION_BINS)]
    for label, score in zip(labels, scores, strict=True):
        bins[min(int(score * CALIBRATION_BINS), CALIBRATION_BINS - 1)].append(label)
    return [
        {
            "low": index / CALIBRATION_BINS,
            "high": (index + 1) / CALIBRATION_BINS,
            "pages": len(found),
            "positive_share": sum(found) / len(found) if found else None,
        }
        for index, found in enumerate(bins)
    ]


def _held_out(labels: Sequence[bool], scores: Sequence[float]) -> HeldOut:
    pairs = [(label, score >= 0.5) for label, score in zip(labels, scores, strict=True)]
    return HeldOut(*map(pairs.count, ((True, True), (False, True), (True, False), (False, False))))


def _fitted(examples: Path, config: ClassifierConfig, seed: int, folder: Path) -> Any:
    """The model of these examples: the one in the folder, or a new one."""
    import fasttext

    settings = {
        "dim": config.dim,
        "lr": config.learning_rate,
        "wordNgrams": config.word_ngrams,
        "minCount": config.min_count,
        "epoch": config.epochs,
        "bucket": config.bucket,
        "thread": config.threads,
        "loss": "softmax",
        "seed": seed,
    }
    said = json.dumps([settings, file_digest(examples)], sort_keys=True)
    digest = hashlib.sha256(said.encode()).hexdigest()
    path = folder / MODEL
    if _is_of(digest, path, folder / TRAINED):
        return load(path)
    (folder / TRAINED).unlink(missing_ok=True)
    try:
        model = fasttext.train_supervised(str(examples), verbose=0, **settings)
    except (ValueError, RuntimeError) as error:
        raise DataError(
            f"classifier: fastText cannot train on {examples} ({error}). "
            f"Lower corpus.classifier.learning_rate={config.learning_rate}."
        ) from error
    if not set(model.get_words()) - {fasttext.FastText.EOS}:
        raise DataError(
            f"classifier: no word stands {config.min_count} times in the training pages. Give more seed documents "
            f"(corpus.seed_paths), or lower corpus.classifier.min_count={config.min_count}."
        )
    model.save_model(str(path))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    (folder / TRAINED).write_text(json.dumps({"trained_on": digest, "model": file_digest(path)}), encoding="utf-8")
    return model


def _is_of(digest: str, path: Path, note: Path) -> bool:
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(path.is_file() and told == {"trained_on": digest, "model": file_digest(path)})


def _sample(count: int, most: int, holdout_share: float, rng: random.Random) -> list[int]:
    """Random pages of a side: ``most`` to train on, and those to test on."""
    wanted = count if holdout_share >= 1 else math.ceil(most / (1 - holdout_share))
    return rng.sample(range(count), min(count, wanted))


def _draw(numbers: list[int], count: int, rng: random.Random) -> list[int]:
    """Every number equally often, up to one."""
    whole, rest = divmod(count, len(numbers))
    return numbers * whole + rng.sample(numbers, rest)


def _split(numbers: Sequence[int], share: float, rng: random.Random) -> tuple[list[int], list[int]]:
    """(trained on, tested on)."""
    shuffled = list(numbers)
    rng.shuffle(shuffled)
    tested = min(int(len(shuffled) * share), len(shuffled) - 1)
    return shuffled[tested:], shuffled[:tested]
