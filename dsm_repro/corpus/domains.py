"""The domain rule of §2.1: domains with many collected pages are mathematical; their URL paths give new positives.

The crawl is partitioned by base URL. A domain of which more than 10% was collected is mathematical.
In the paper people then annotate URL paths inside it (``mathoverflow.net/questions``); pages under the
accepted paths that were not collected join the positives. Pages are row numbers of the crawl here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.corpus.url import directories

if TYPE_CHECKING:
    import numpy as np

Directory = tuple[str, ...]

#: a path below the first directory is proposed from this many pages on: fewer is a single entry, not a section
MIN_SECTION_PAGES = 3
#: directories of a path that are looked at; what lies deeper belongs to the last of them
MAX_DEPTH = 3
SAMPLE_PAGES = 5


@dataclass(frozen=True)
class Partition:
    """The crawl by domain: ``names`` sorted, ``of_row`` the index into them of every row, ``pages`` of each domain."""

    names: tuple[str, ...]
    of_row: np.ndarray
    pages: np.ndarray


@dataclass(frozen=True)
class Domain:
    """A domain and how many of its pages in the whole deduplicated crawl were collected."""

    domain: str
    pages: int
    collected: int

    @property
    def share(self) -> float:
        return self.collected / self.pages


@dataclass(frozen=True)
class Prefix:
    """A URL path inside a mathematical domain, put up for review. ``directory`` is ``()`` for pages at the root."""

    domain: str
    directory: Directory
    #: pages under it that may be collected, and those that were
    pages: int
    collected: int
    #: pages that would join the positives
    effect: int
    #: rows of some of the pages that would join, spread over their addresses
    samples: tuple[int, ...]

    @property
    def share(self) -> float:
        return self.collected / self.pages if self.pages else 0.0

    @property
    def path(self) -> str:
        return path_of(self.directory)


def path_of(directory: Directory) -> str:
    """``("questions", "tagged")`` gives ``/questions/tagged/``."""
    return "/" + "".join(f"{part}/" for part in directory)


def partition(domains: Sequence[str]) -> Partition:
    """Pages by domain, for every row of the crawl."""
    import numpy as np

    counts = Counter(domains)
    names = tuple(sorted(counts))
    number = {name: index for index, name in enumerate(names)}
    of_row = np.fromiter((number[name] for name in domains), dtype=np.int32, count=len(domains))
    return Partition(names, of_row, np.fromiter((counts[name] for name in names), dtype=np.int64, count=len(names)))


def collected_of(parted: Partition, collected: np.ndarray) -> np.ndarray:
    """Collected pages of every domain. ``collected`` is a mask over rows."""
    import numpy as np

    return np.bincount(parted.of_row[collected], minlength=len(parted.names))


def mathematical(parted: Partition, collected: np.ndarray, threshold: float) -> list[Domain]:
    """Domains with more than ``threshold`` of their pages collected, by name. ``collected`` is a mask over rows."""
    domains = [
        Domain(name, int(pages), int(found))
        for name, pages, found in zip(parted.names, parted.pages, collected_of(parted, collected), strict=True)
    ]
    return [domain for domain in domains if domain.share > threshold]


def prefixes(
    urls: Sequence[str],
    parted: Partition,
    clean: np.ndarray,
    collected: np.ndarray,
    waiting: np.ndarray,
    domains: Sequence[Domain],
    share: float,
    named: Mapping[str, frozenset[Directory]] | None = None,
) -> list[Prefix]:
    """Paths of the mathematical domains under which pages wait, the largest effect first.

    First-level directories are proposed. A deeper one with pages enough is proposed beside its parent
    where one decision may not fit both: the parent's share lies between 0 and ``share``, or the parent
    reaches ``share`` and it does not.

    Args:
        clean, collected, waiting: masks over rows; what waits is clean, not collected and not yet a positive.
        share: from this share of collected pages on, a path counts as mathematical.
        named: directories by domain that are proposed whatever their share, because a person named them.
    """
    found: list[Prefix] = []
    for domain, rows in _rows_by_domain(parted, clean, [item.domain for item in domains]):
        wanted = named.get(domain, frozenset()) if named else frozenset()
        found += _prefixes_of(domain, rows, urls, collected, waiting, share, wanted)
    return sorted(found, key=lambda prefix: (-prefix.effect, prefix.domain, prefix.path))


def newly_positive(
    urls: Sequence[str], parted: Partition, waiting: np.ndarray, accepted: Mapping[tuple[str, Directory], bool]
) -> np.ndarray:
    """Rows that wait under accepted paths, ascending. The longest path that was decided on decides for a page."""
    import numpy as np

    names = sorted({domain for (domain, _), yes in accepted.items() if yes})
    joining = [
        row
        for domain, rows in _rows_by_domain(parted, waiting, names)
        for row in rows
        if next((accepted[domain, part] for part in _above(urls[row]) if (domain, part) in accepted), False)
    ]
    return np.array(sorted(joining), dtype=np.int64)


def _above(url: str) -> list[Directory]:
    """The directories that a page lies in, the longest first; ``()`` only for a page at the root."""
    parts = directories(url)
    return [parts[:depth] for depth in range(len(parts), 0, -1)] or [()]


def _rows_by_domain(parted: Partition, mask: np.ndarray, names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Rows of the mask in each of these domains: one domain at a time, so that memory holds the largest only."""
    import numpy as np

    number = {name: index for index, name in enumerate(parted.names)}
    wanted = np.zeros(len(parted.names), dtype=bool)
    wanted[[number[name] for name in names]] = True
    rows = np.flatnonzero(mask & wanted[parted.of_row])
    rows = rows[np.argsort(parted.of_row[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(parted.of_row[rows], prepend=-1))
    for part in np.split(rows, starts[1:]) if len(rows) else ():
        yield parted.names[parted.of_row[part[0]]], part.tolist()


@dataclass
class _Section:
    pages: int = 0
    collected: int = 0

    def __post_init__(self) -> None:
        self.waiting: list[int] = []

    @property
    def share(self) -> float:
        return self.collected / self.pages


def _prefixes_of(
    domain: str,
    rows: Sequence[int],
    urls: Sequence[str],
    collected: np.ndarray,
    waiting: np.ndarray,
    share: float,
    named: frozenset[Directory],
) -> Iterator[Prefix]:
    sections: dict[Directory, _Section] = {}
    for row in rows:
        for directory in _above(urls[row]):
            if len(directory) > MAX_DEPTH and directory not in named:
                continue
            section = sections.setdefault(directory, _Section())
            section.pages += 1
            section.collected += bool(collected[row])
            if waiting[row]:
                section.waiting.append(row)
    for directory, section in sections.items():
        if section.waiting and (directory in named or _worth_asking(directory, sections, share)):
            ordered = sorted(section.waiting, key=urls.__getitem__)
            step = max(len(ordered) / SAMPLE_PAGES, 1.0)
            samples = tuple(ordered[int(index * step)] for index in range(min(SAMPLE_PAGES, len(ordered))))
            yield Prefix(domain, directory, section.pages, section.collected, len(ordered), samples)


def _worth_asking(directory: Directory, sections: Mapping[Directory, _Section], share: float) -> bool:
    if len(directory) < 2:
        return True
    own, parent = sections[directory], sections[directory[:-1]]
    if own.pages < MIN_SECTION_PAGES:
        return False
    return own.share < share if parent.share >= share else parent.collected > 0
