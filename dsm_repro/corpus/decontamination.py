"""Decontamination, §2.1: no page may share 10 consecutive grams with a benchmark text.

A benchmark text of 3 to 9 grams is looked for as a whole. A gram is a word, a number or an operator
(:func:`dsm_repro.corpus.tokens.grams`). Every hit keeps its evidence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dsm_repro.config.schema import Config, DecontaminationConfig
from dsm_repro.corpus.tokens import grams
from dsm_repro.reasoning.problemset import load_problems


@dataclass(frozen=True)
class BenchmarkText:
    id: str
    text: str


@dataclass(frozen=True)
class Evidence:
    """Why a page was removed: the first n-gram that it shares with this benchmark text."""

    url: str
    benchmark: str
    ngram: str


class BenchmarkIndex:
    """The n-grams of benchmark texts; ``too_short`` counts those below ``min_ngram`` grams, which go unchecked."""

    def __init__(self, texts: Iterable[BenchmarkText], config: DecontaminationConfig) -> None:
        self.texts = 0
        self.too_short = 0
        #: n -> n-gram -> ids of the texts that hold it
        self._tables: dict[int, dict[tuple[str, ...], list[str]]] = defaultdict(dict)
        for item in texts:
            self.texts += 1
            tokens = grams(item.text)
            if len(tokens) < config.min_ngram:
                self.too_short += 1
                continue
            length = min(len(tokens), config.ngram)
            for ngram in windows(tokens, length):
                ids = self._tables[length].setdefault(ngram, [])
                if item.id not in ids:
                    ids.append(item.id)

    def search(self, url: str, text: str) -> list[Evidence]:
        """One entry for every benchmark text that the page shares an n-gram with; empty if the page is clean."""
        tokens = grams(text)
        found: dict[str, Evidence] = {}
        for length in sorted(self._tables, reverse=True):
            table = self._tables[length]
            if table.keys().isdisjoint(windows(tokens, length)):
                continue
            for ngram in windows(tokens, length):
                for benchmark in table.get(ngram, ()):
                    found.setdefault(benchmark, Evidence(url, benchmark, " ".join(ngram)))
        return list(found.values())


def windows(tokens: list[str], length: int) -> Iterator[tuple[str, ...]]:
    """All runs of ``length`` consecutive tokens."""
    return zip(*(tokens[start:] for start in range(length)), strict=False)


def benchmark_texts(config: Config) -> list[BenchmarkText]:
    """The questions that the arm is evaluated on.

    Raises:
        ConfigError: unknown ``problems.source``. DataError: the file is missing or a line is not a problem.
    """
    tested = load_problems(config.problems, "test", config.evaluation.problems, config.evaluation.problems_seed)
    return [BenchmarkText(problem.id, problem.question) for problem in tested]
