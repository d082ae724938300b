"""How the classifier does on manuals that it was not trained on: whole packages are held out.

Every way to train on two of the four manuals with mathematics and two of the four without, and to score
the other four: each package is held out in half of the splits, and every split has its opposite.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from _debian import MANUALS
from _manuals_crawl import Truth

if TYPE_CHECKING:
    from dsm_repro.config.corpus_schema import ClassifierConfig
    from dsm_repro.corpus.crawl import Crawl

#: formulas as extraction writes them
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$|\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL)


@dataclass(frozen=True)
class Document:
    package: str
    is_math: bool
    line: str


@dataclass(frozen=True)
class Counts:
    """Of scores against labels. Positive: a score of at least one half."""

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

    @property
    def f1(self) -> float | None:
        """None where there is nothing to find."""
        if not self.true_positives + self.false_negatives:
            return None
        return 2 * self.true_positives / (2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def false_alarms(self) -> float | None:
        """Share of the pages without mathematics that were called mathematical."""
        others = self.false_positives + self.true_negatives
        return self.false_positives / others if others else None


@dataclass(frozen=True)
class Result:
    """One split: packages trained on, counts and average precision over the others, counts of each of them."""

    trained_on: tuple[str, ...]
    all: Counts
    average_precision: float
    by_package: Mapping[str, Counts]


def documents(crawl: Crawl, truth: Mapping[str, Truth], *, formulas: bool) -> list[Document]:
    """Pages of the crawl that the truth can tell, as the classifier reads them; without their formulas on request."""
    from dsm_repro.corpus.classifier import line

    rows = [row for row, url in enumerate(crawl.urls) if url in truth and truth[url].is_math is not None]
    found = []
    for row, text in zip(rows, crawl.texts(rows), strict=True):
        label = truth[crawl.urls[row]]
        said = text if formulas else _FORMULA.sub(" ", text)
        found.append(Document(label.package, bool(label.is_math), line(said)))
    return found


def splits() -> list[tuple[str, ...]]:
    """Packages to train on; in the first 6, 12, … every pair of either kind comes up equally often."""
    others = [manual.package for manual in MANUALS if manual.subject == "other"]
    with_mathematics = [manual.package for manual in MANUALS if manual.subject != "other"]
    first = list(combinations(with_mathematics, len(with_mathematics) // 2))
    second = list(combinations(others, len(others) // 2))
    return [pair + second[(at + turn) % len(second)] for turn in range(len(second)) for at, pair in enumerate(first)]


def evaluate(
    pages: Sequence[Document], trained_on: Collection[str], config: ClassifierConfig, seed: int, folder: Path
) -> Result:
    """Train on some packages, score the others."""
    from dsm_repro.corpus.classifier import train

    train_pages = [page for page in pages if page.package in trained_on]
    test_pages = [page for page in pages if page.package not in trained_on]
    positives = [page.line for page in train_pages if page.is_math]
    negatives = [page.line for page in train_pages if not page.is_math]
    scores = train(positives, negatives, config, seed, folder).scores([page.line for page in test_pages])
    labels = [page.is_math for page in test_pages]
    packages = [page.package for page in test_pages]
    by_package = {
        package: count(
            [label for label, name in zip(labels, packages, strict=True) if name == package],
            [score for score, name in zip(scores, packages, strict=True) if name == package],
        )
        for package in sorted(set(packages))
    }
    return Result(tuple(trained_on), count(labels, scores), average_precision(labels, scores), by_package)


def count(labels: Sequence[bool], scores: Sequence[float]) -> Counts:
    """Counts at a score of one half."""
    pairs = [(label, score >= 0.5) for label, score in zip(labels, scores, strict=True)]
    return Counts(
        pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False)), pairs.count((False, False))
    )


def average_precision(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """Area under precision over recall of the ranking: selection by rank, as curation does, needs no threshold."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores))
