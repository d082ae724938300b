"""The domain rule of §2.1: domains with many collected pages are mathematical; their URL paths give new positives.

The crawl is partitioned by base URL. A domain of which more than 10% was collected is mathematical.
In the paper people then annotate URL paths inside it (``mathoverflow.net/questions``); with
``corpus.review=auto`` a path is accepted by the share of its own pages that were collected, and the
decision is marked as automatic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.url import directories

#: a path is accepted automatically when at least this share of its pages was collected
AUTO_ACCEPT_SHARE = 0.5
#: a path below the first directory is proposed from this many pages on: fewer is a single entry, not a section
MIN_SECTION_PAGES = 3
SAMPLE_PAGES = 3


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
    directory: tuple[str, ...]
    pages: int
    collected: int
    samples: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.collected / self.pages

    @property
    def effect(self) -> int:
        """Pages that would join the positives."""
        return self.pages - self.collected

    @property
    def path(self) -> str:
        return "/" + "".join(f"{part}/" for part in self.directory)

    def covers(self, page: Page) -> bool:
        if page.domain != self.domain:
            return False
        parts = directories(page.url)
        return parts[: len(self.directory)] == self.directory if self.directory else not parts


@dataclass(frozen=True)
class Decision:
    """``by`` says who decided: ``auto``, or a person's name."""

    prefix: Prefix
    accepted: bool
    by: str

    def state(self) -> dict[str, Any]:
        state = asdict(self.prefix)
        del state["directory"]
        return {**state, "path": self.prefix.path, "share": self.prefix.share, "accepted": self.accepted, "by": self.by}


def mathematical(crawl: Sequence[Page], collected: Collection[str], threshold: float) -> list[Domain]:
    """Domains with more than ``threshold`` of their pages collected, by name. ``collected`` holds URLs."""
    totals = Counter(page.domain for page in crawl)
    found = Counter(page.domain for page in crawl if page.url in collected)
    domains = [Domain(name, totals[name], found[name]) for name in sorted(totals)]
    return [domain for domain in domains if domain.share > threshold]


def prefixes(crawl: Sequence[Page], collected: Collection[str], domains: Sequence[Domain]) -> list[Prefix]:
    """Paths of the mathematical domains with something left to collect, the largest effect first.

    A first-level directory is proposed; where less than half of it was collected it is a mixed
    section, and its own directories are proposed beside it.
    """
    names = {domain.domain for domain in domains}
    members: dict[tuple[str, tuple[str, ...]], list[Page]] = defaultdict(list)
    for page in crawl:
        if page.domain in names:
            parts = directories(page.url)
            members[page.domain, parts[:1]].append(page)
            if len(parts) > 1:
                members[page.domain, parts[:2]].append(page)
    proposed = {key: _prefix(*key, pages, collected) for key, pages in members.items()}
    kept = []
    for (name, directory), prefix in proposed.items():
        if not prefix.effect:
            continue
        if len(directory) == 2 and (
            prefix.pages < MIN_SECTION_PAGES or proposed[name, directory[:1]].share >= AUTO_ACCEPT_SHARE
        ):
            continue
        kept.append(prefix)
    return sorted(kept, key=lambda prefix: (-prefix.effect, prefix.domain, prefix.path))


def _prefix(name: str, directory: tuple[str, ...], pages: list[Page], collected: Collection[str]) -> Prefix:
    waiting = sorted(page.url for page in pages if page.url not in collected)
    return Prefix(name, directory, len(pages), len(pages) - len(waiting), tuple(waiting[:SAMPLE_PAGES]))


def decide_automatically(proposed: Sequence[Prefix]) -> list[Decision]:
    """Accept a path when at least half of its own pages were collected."""
    return [Decision(prefix, prefix.share >= AUTO_ACCEPT_SHARE, "auto") for prefix in proposed]


def newly_positive(crawl: Sequence[Page], collected: Collection[str], decisions: Sequence[Decision]) -> list[Page]:
    """Uncollected pages under accepted paths: they join the classifier's positives."""
    accepted: dict[str, list[Prefix]] = defaultdict(list)
    for decision in decisions:
        if decision.accepted:
            accepted[decision.prefix.domain].append(decision.prefix)
    return [
        page
        for page in crawl
        if page.url not in collected and any(prefix.covers(page) for prefix in accepted.get(page.domain, ()))
    ]
