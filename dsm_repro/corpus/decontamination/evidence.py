"""What evidence says together: which n-grams are a benchmark's own and which are everybody's.

A shared identity ("the sum of the first n natural numbers is") is a hit like any other and its page goes, as §2.1
has it. How many pages and domains of the crawl share the n-gram tells a person which kind it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from dsm_repro.corpus.decontamination.index import BenchmarkIndex
from dsm_repro.corpus.tokens import grams
from dsm_repro.reasoning.benchmarks import Benchmark

#: examples in the record
_SHOWN = 20
_EXAMPLE_FIELDS = ("url", "benchmark", "item", "part", "ngram", "grams", "coverage", "pages", "domains", "context")


def with_frequencies(evidence: Iterable[Mapping[str, Any]], domains: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of evidence with the document frequency of their n-gram over the crawl, in the order given.

    ``evidence`` has the fields of :class:`~dsm_repro.corpus.decontamination.index.Evidence` and ``row``, the
    page's number in the crawl; rows of one page are together. ``domains`` is by row. Each row's ``ngram``
    becomes the rarest one of its longest passage (the earliest of these), ``offset`` follows it, ``pages`` and
    ``domains`` count the crawl's pages and their domains that have it; ``passages`` is left out.
    """
    rows = [dict(row) for row in evidence]
    pages: Counter[str] = Counter()
    places: dict[str, set[str]] = defaultdict(set)
    for number, found in groupby(rows, key=lambda row: row["row"]):
        for ngram in {ngram for row in found for passage in row["passages"] for ngram in _ngrams(row, passage)}:
            pages[ngram] += 1
            places[ngram].add(domains[number])
    for row in rows:
        start, rarest = min(enumerate(_ngrams(row, row["passages"][0])), key=lambda pair: (pages[pair[1]], pair[0]))
        row |= {
            "ngram": rarest,
            "offset": row["offset"] + start,
            "pages": pages[rarest],
            "domains": len(places[rarest]),
        }
        del row["passages"]
    return rows


def _ngrams(row: Mapping[str, Any], passage: str) -> Iterator[str]:
    words, length = passage.split(" "), len(row["ngram"].split(" "))
    return (" ".join(words[start : start + length]) for start in range(len(words) - length + 1))


def benchmark_state(index: BenchmarkIndex, evidence: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For ``record.json``: what was looked for, and how much of it was found. ``evidence`` has its frequencies.

    ``names`` are the ids of the benchmarks. By benchmark: ``texts`` are its questions, ``solutions`` those long
    enough to be looked for, ``too_short`` the questions that are not. ``examples`` are the clearest copies, a text
    each; ``shared`` are the n-grams on most pages, a page each, for a person to judge.
    """
    benchmarks = _benchmarks(index)
    by_benchmark = {
        item.name: {**_looked_for(index, item), "pages": len(_pages(evidence, item.name))} for item in benchmarks
    }
    copies = _first_of_each(sorted(evidence, key=_clearest), ("benchmark", "item"))
    shared = _first_of_each(sorted(evidence, key=_commonest), ("ngram",))
    return {
        "names": [item.id for item in benchmarks],
        "by_benchmark": by_benchmark,
        "ngram": index.ngram,
        "min_ngram": index.min_ngram,
        "pages": len({row["row"] for row in evidence}),
        "examples": [_example(row) for row in copies[:_SHOWN]],
        "shared": [_example(row) for row in shared if row["pages"] > 1][:_SHOWN],
    }


def _benchmarks(index: BenchmarkIndex) -> list[Benchmark]:
    texts = defaultdict(list)
    for item in index.texts:
        texts[item.benchmark].append(item)
    return [Benchmark(name, tuple(items)) for name, items in texts.items()]


def _looked_for(index: BenchmarkIndex, benchmark: Benchmark) -> dict[str, int]:
    lengths = [(item.part, index.length_of(item, len(grams(item.text)))) for item in benchmark.texts]
    return {
        "texts": sum(part == "question" for part, _ in lengths),
        "solutions": sum(part == "solution" and length is not None for part, length in lengths),
        "too_short": sum(part == "question" and length is None for part, length in lengths),
    }


def _pages(evidence: Iterable[Mapping[str, Any]], benchmark: str) -> set[int]:
    return {row["row"] for row in evidence if row["benchmark"] == benchmark}


def _clearest(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return -row["coverage"], -row["grams"], row["row"], row["benchmark"], row["item"], row["part"]


def _commonest(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return -row["pages"], -row["domains"], row["ngram"], row["row"], row["benchmark"], row["item"], row["part"]


def _first_of_each(rows: Iterable[Mapping[str, Any]], fields: tuple[str, ...]) -> list[Mapping[str, Any]]:
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(tuple(row[field] for field in fields), row)
    return list(found.values())


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    return {field: row[field] for field in _EXAMPLE_FIELDS}
