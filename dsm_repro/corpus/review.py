"""Who accepts URL paths: a rule (``corpus.review=auto``), or a person through a file (``corpus.review=file``).

In the paper people annotate them (§2.1). The rule accepts a path by the share of its own pages that
were collected, and its decisions are marked ``auto``. A person's decision on a path holds in every round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dsm_repro.config.errors import DsmError
from dsm_repro.config.schema import Config
from dsm_repro.corpus.domains import Directory, Prefix

if TYPE_CHECKING:
    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.review_entry import Entry

#: who decided, where the rule did
AUTO = "auto"
#: review=file: a path of which less was collected is taken for mixed, so that its own directories are proposed too
MIXED_SHARE = 0.5
#: characters of a sample's text that a reviewer gets to see
TITLE_CHARACTERS, EXCERPT_CHARACTERS = 120, 300


class ReviewNeeded(DsmError):  # noqa: N818 - nothing went wrong
    """URL paths wait for a person's decision."""


@dataclass(frozen=True)
class Decision:
    """``by`` says who decided: ``auto``, or a person's name."""

    prefix: Prefix
    accepted: bool
    by: str

    def state(self, urls: Sequence[str]) -> dict[str, Any]:
        """An entry of the record's ``reviews``, without its round. ``urls`` are the crawl's."""
        prefix = self.prefix
        return {
            "domain": prefix.domain,
            "path": prefix.path,
            "pages": prefix.pages,
            "collected": prefix.collected,
            "share": prefix.share,
            "samples": [urls[row] for row in prefix.samples],
            "accepted": self.accepted,
            "by": self.by,
        }


class Review(Protocol):
    """Decides on proposed paths. ``share``: below it a path is mixed; ``named``: paths that a person wrote down."""

    @property
    def share(self) -> float: ...

    def named(self) -> Mapping[str, frozenset[Directory]]: ...

    def __call__(self, proposed: Sequence[Prefix], crawl: Crawl) -> list[Decision]: ...


@dataclass(frozen=True)
class ByShare:
    """Accept a path when at least ``share`` of its own pages was collected."""

    share: float

    def named(self) -> Mapping[str, frozenset[Directory]]:
        return {}

    def __call__(self, proposed: Sequence[Prefix], crawl: Crawl) -> list[Decision]:
        return [Decision(prefix, prefix.share >= self.share, AUTO) for prefix in proposed]


@dataclass(frozen=True)
class ByFile:
    """Decisions from a file that a person edits; a path that is not decided there is written into it.

    Raises:
        ReviewNeeded: paths wait for a decision. DataError: the file cannot be read.
    """

    path: Path
    share: float = MIXED_SHARE

    def named(self) -> Mapping[str, frozenset[Directory]]:
        found: dict[str, set[Directory]] = {}
        for entry in self._entries():
            if entry.accept is not None:
                found.setdefault(entry.domain, set()).add(entry.directory)
        return {domain: frozenset(directories) for domain, directories in found.items()}

    def __call__(self, proposed: Sequence[Prefix], crawl: Crawl) -> list[Decision]:
        entries = {(entry.domain, entry.directory): entry for entry in self._entries()}
        decisions, waiting = [], []
        for prefix in proposed:
            entry = entries.get((prefix.domain, prefix.directory))
            if entry is None or entry.accept is None:
                waiting.append(prefix)
            else:
                decisions.append(Decision(prefix, entry.accept, entry.by))
        if waiting:
            self._ask(waiting, crawl)
        return decisions

    def _entries(self) -> Sequence[Entry]:
        from dsm_repro.corpus.review_file import read_entries

        return read_entries(self.path)

    def _ask(self, waiting: Sequence[Prefix], crawl: Crawl) -> None:
        from dsm_repro.corpus.review_file import merge

        merge(self.path, [entry_of(prefix, crawl) for prefix in waiting])
        pages = sum(prefix.effect for prefix in waiting)
        raise ReviewNeeded(
            f"corpus.review=file: {len(waiting)} URL paths ({pages} pages) wait for a decision in "
            f"{self.path.absolute()}. Set `accept:` and `by:` of each there (`dsm review "
            f"corpus.review_file={self.path}` lists them, with --html FILE as a page of samples), then run the same "
            "command again."
        )


def reviewer(config: Config) -> Review:
    """The review that ``corpus.review`` asks for."""
    if config.corpus.review == "file":
        return ByFile(review_path(config))
    return ByShare(config.corpus.auto_accept_share)


def review_path(config: Config) -> Path:
    """``corpus.review_file``."""
    return Path(config.corpus.review_file).expanduser()


def review_inputs(config: Config) -> tuple[Path, ...]:
    """The review file, once it is there: its digest enters the key, so that new decisions are new work.

    Raises:
        DataError: the file cannot be read, before any work.
    """
    path = review_path(config)
    if config.corpus.review != "file" or not path.exists():
        return ()
    ByFile(path).named()
    return (path,)


def entry_of(prefix: Prefix, crawl: Crawl) -> Entry:
    """A path as the review file shows it, undecided, with titles and excerpts of its samples."""
    from dsm_repro.corpus.review_entry import Entry, Sample

    samples = [
        Sample(crawl.urls[row], *_shown(text))
        for row, text in zip(prefix.samples, crawl.texts(prefix.samples), strict=True)
    ]
    return Entry(
        prefix.domain, prefix.directory, prefix.pages, prefix.collected, prefix.effect, tuple(samples), None, ""
    )


def _shown(text: str) -> tuple[str, str]:
    """First line and what comes after it, each on one line and cut."""
    first, _, rest = text.strip().partition("\n")
    return _cut(first, TITLE_CHARACTERS), _cut(rest, EXCERPT_CHARACTERS)


def _cut(text: str, most: int) -> str:
    shown = " ".join(text[: 4 * most].split())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
