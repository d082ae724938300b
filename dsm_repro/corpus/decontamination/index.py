"""The n-grams of benchmark texts, and the evidence of those that a page shares with them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.corpus_schema import DecontaminationConfig
from dsm_repro.config.errors import DataError
from dsm_repro.corpus.tokens import grams, tokenize
from dsm_repro.reasoning.benchmarks import BenchmarkText

if TYPE_CHECKING:
    from dsm_repro.corpus.decontamination.scan import Scanner
    from dsm_repro.corpus.decontamination.tables import Codes, Hashes, Table

_FORMAT = 1
#: what the lookup says of a token that is layout: it is not a gram
_LAYOUT = -1
#: tokens whose codes are remembered at once; the web has no end of numbers and names
_MOST_TOKENS = 500_000
#: characters of the page around a shared passage, and of a long passage itself, that the evidence quotes
_AROUND = 80
_QUOTED = 400
#: places of one n-gram on one page that are looked at: a page may repeat it without end
_MOST_PLACES = 100


@dataclass(frozen=True)
class Evidence:
    """Why a page is contaminated: what it shares with one text of a benchmark.

    A common phrase shares one n-gram, a copied problem all of them: ``coverage`` is the share of the text's own
    n-grams that the page has.
    """

    url: str
    #: name of the benchmark, id of the text in it, question or solution
    benchmark: str
    item: str
    part: str
    #: the first n-gram of the longest passage shared
    ngram: str
    #: grams of the page before it
    offset: int
    #: grams of the longest passage
    grams: int
    coverage: float
    #: the page's own words around and in the longest passage, which stands between « and »
    context: str
    #: all passages shared, the longest first: runs of grams whose every n-gram is the text's
    passages: tuple[str, ...]


class _Page:
    """The grams of a contaminated page, and where they stand in its text."""

    def __init__(self, url: str, text: str) -> None:
        self.url = url
        lowered = text.lower()
        # where lower case has another length ("İ"), places in it are not places in the text
        self._text = text if len(lowered) == len(text) else lowered
        self._grams: list[str] = []
        self._spans: list[tuple[int, int]] = []
        end = 0
        for token in tokenize(text):
            start = lowered.index(token, end)
            end = start + len(token)
            for gram in grams(token):
                self._grams.append(gram)
                self._spans.append((start, end))

    def passage(self, first: int, count: int) -> str:
        return " ".join(self._grams[first : first + count])

    def quote(self, first: int, count: int) -> str:
        """The page's own text around and in ``count`` of its grams, spaces folded."""
        start, stop = self._spans[first][0], self._spans[first + count - 1][1]
        inside = self._text[start:stop]
        if len(inside) > _QUOTED:
            inside = f"{inside[: _QUOTED // 2]} … {inside[-_QUOTED // 2 :]}"
        before, after = self._text[max(0, start - _AROUND) : start], self._text[stop : stop + _AROUND]
        return f"{_folded(before)} «{_folded(inside)}» {_folded(after)}".strip()


class _Codes(dict[str, int]):
    """Token -> number of its gram, worked out when a token is first met."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def __missing__(self, token: str) -> int:
        if len(self) >= _MOST_TOKENS:
            self.clear()
        found = grams(token)
        code = self[token] = self._vocabulary.get(found[0], 0) if found else _LAYOUT
        return code


@dataclass(frozen=True)
class _Lookup:
    scanner: Scanner
    codes: _Codes
    #: code -> hash of the gram
    mix: Hashes
    #: by length, ascending
    tables: dict[int, Table]
    #: distinct n-grams of each text
    ngrams: Codes


@dataclass(frozen=True)
class BenchmarkIndex:
    """Benchmark texts, ready to be looked for in pages. Sent to another process as its texts, and built again there."""

    ngram: int
    min_ngram: int
    texts: tuple[BenchmarkText, ...]

    @classmethod
    def build(cls, texts: Iterable[BenchmarkText], config: DecontaminationConfig) -> BenchmarkIndex:
        return cls(config.ngram, config.min_ngram, tuple(texts))

    def __getstate__(self) -> dict[str, Any]:
        return {"ngram": self.ngram, "min_ngram": self.min_ngram, "texts": self.texts}

    @cached_property
    def digest(self) -> str:
        """sha256 of all that decides what is found."""
        return hashlib.sha256(self._said()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the index; equal indexes give equal bytes."""
        path.write_bytes(self._said())

    @classmethod
    def load(cls, path: Path) -> BenchmarkIndex:
        """Read a saved index. Raises DataError for a file that is none."""
        try:
            return _parsed(path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not an index of benchmarks ({error}). Remove it and run again.") from error

    def _said(self) -> bytes:
        texts = [astuple(item) for item in self.texts]
        said = {"format": _FORMAT, "ngram": self.ngram, "min_ngram": self.min_ngram, "texts": texts}
        return json.dumps(said, ensure_ascii=True).encode()

    def length_of(self, item: BenchmarkText, count: int) -> int | None:
        """Length of the n-grams by which a text of ``count`` grams is looked for; None if it is too short for any."""
        if count >= self.ngram:
            return self.ngram
        return count if count >= self.min_ngram and item.part == "question" else None

    @cached_property
    def _lookup(self) -> _Lookup:
        import numpy as np

        from dsm_repro.corpus.decontamination.scan import Scanner
        from dsm_repro.corpus.decontamination.tables import Table

        vocabulary: dict[str, int] = {}
        texts: list[Any] = []
        places: dict[int, list[Any]] = defaultdict(list)
        owners: dict[int, list[Any]] = defaultdict(list)
        start = 0
        for number, item in enumerate(self.texts):
            found = grams(item.text)
            length = self.length_of(item, len(found))
            if length is not None:
                texts.append([vocabulary.setdefault(gram, len(vocabulary) + 1) for gram in found])
                places[length].append(np.arange(start, start + len(found) - length + 1))
                owners[length].append(np.full(len(found) - length + 1, number))
                start += len(found)
        codes = np.fromiter(chain.from_iterable(texts), np.int64, start)
        attempt = 0
        while True:
            scanner = Scanner(attempt)
            mix = np.concatenate((np.zeros(1, np.uint64), scanner.hash_grams(list(vocabulary))))
            tables = {
                length: Table.of(length, codes, np.concatenate(places[length]), np.concatenate(owners[length]), mix)
                for length in sorted(places)
            }
            whole = {length: table for length, table in tables.items() if table is not None}
            if len(whole) == len(tables):
                break
            attempt += 1
        ngrams = sum(
            (np.bincount(table.items, minlength=len(self.texts)) for table in whole.values()),
            np.zeros(len(self.texts), dtype=np.int64),
        )
        return _Lookup(scanner, _Codes(vocabulary), mix, whole, ngrams)

    def search(self, url: str, text: str) -> list[Evidence]:
        """One entry for every benchmark text that the page shares an n-gram with, in their order; empty if clean."""
        import numpy as np

        from dsm_repro.corpus.decontamination.tables import rolling

        lookup = self._lookup
        lengths = tuple(lookup.tables)
        windows = rolling(lookup.scanner.hashes(text), lengths)
        if not any(len(lookup.tables[length].propose(hashes)[0]) for length, hashes in windows.items()):
            return []
        tokens = tokenize(text)
        codes = np.fromiter(map(lookup.codes.__getitem__, tokens), np.int64, len(tokens))
        codes = codes[codes != _LAYOUT]
        #: text -> length of its n-grams, and n-gram -> places on the page
        found: dict[int, tuple[int, dict[int, list[int]]]] = {}
        for length, hashes in rolling(lookup.mix[codes], lengths).items():
            table = lookup.tables[length]
            places: dict[int, list[int]] = defaultdict(list)
            for place, ngram in zip(*(array.tolist() for array in table.find(hashes, codes)), strict=True):
                places[ngram].append(place)
            for ngram, where in places.items():
                for item in table.items_of(ngram):
                    found.setdefault(item, (length, {}))[1][ngram] = where[:_MOST_PLACES]
        if not found:
            return []
        page = _Page(url, text)
        return [self._evidence(page, item, *found[item]) for item in sorted(found)]

    def _evidence(self, page: _Page, number: int, length: int, ngrams: dict[int, list[int]]) -> Evidence:
        item = self.texts[number]
        runs = _runs({place for places in ngrams.values() for place in places}, length)
        first, grams_shared = runs[0]
        return Evidence(
            url=page.url,
            benchmark=item.benchmark,
            item=item.id,
            part=item.part,
            ngram=page.passage(first, length),
            offset=first,
            grams=grams_shared,
            coverage=round(len(ngrams) / int(self._lookup.ngrams[number]), 4),
            context=page.quote(first, grams_shared),
            passages=tuple(dict.fromkeys(page.passage(start, size) for start, size in runs)),
        )


@lru_cache(maxsize=1)
def _parsed(said: bytes) -> BenchmarkIndex:
    """A process that checks many shards prepares the tables once."""
    value = json.loads(said)
    if value["format"] != _FORMAT:
        raise ValueError(f"format {value['format']}, not {_FORMAT}")
    texts = tuple(BenchmarkText(*row) for row in value["texts"])
    return BenchmarkIndex(int(value["ngram"]), int(value["min_ngram"]), texts)


def _runs(places: Iterable[int], length: int) -> list[tuple[int, int]]:
    """(place, grams) of the longest runs of n-grams at consecutive places, the longest first, then the earliest."""
    runs: list[tuple[int, int]] = []
    for place in sorted(places):
        if runs and place == runs[-1][0] + runs[-1][1] - length + 1:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((place, length))
    return sorted(runs, key=lambda run: (-run[1], run[0]))


def _folded(text: str) -> str:
    return " ".join(text.split())
