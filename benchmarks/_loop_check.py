"""What curation makes of the manuals: pages collected, domains called mathematical, URL paths accepted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _debian import MANUALS
from _held_out import Counts
from _manuals_crawl import Truth

from dsm_repro.config.errors import DataError

#: a path should be accepted when at least this share of its pages is mathematical
SECTION_SHARE = 0.5


@dataclass(frozen=True)
class DomainCheck:
    """A domain of the crawl. ``labelled`` pages are those that the truth can tell; ``found``: called mathematical."""

    domain: str
    subject: str
    pages: int
    labelled: int
    mathematical: int
    collected: int
    found: bool


@dataclass(frozen=True)
class PathCheck:
    """A URL path that was put up for review, as it was last decided."""

    domain: str
    path: str
    pages: int
    labelled: int
    mathematical: int
    collected_share: float
    accepted: bool
    rounds: tuple[int, ...]

    @property
    def should(self) -> bool | None:
        """Whether most of its labelled pages are mathematical; None if none is labelled."""
        return self.mathematical >= SECTION_SHARE * self.labelled if self.labelled else None


def dsm(store: Path, stage: str, overrides: Sequence[str]) -> Path:
    """Run one arm up to ``stage`` with the real command; the artifact of that stage.

    Raises:
        DataError: the command failed; says how.
    """
    words = ["run", f"until={stage}", f"paths.store='{store}'", f"paths.reports='{store / 'reports'}'", *overrides]
    done = subprocess.run([sys.executable, "-m", "dsm_repro", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"dsm {' '.join(words)}\n{(done.stdout + done.stderr).strip()[-2_000:]}")
    index = next(line.removeprefix("index: ") for line in done.stdout.splitlines() if line.startswith("index: "))
    (arm,) = json.loads(Path(index).read_text(encoding="utf-8"))["arms"]
    return store / stage / str(arm["stages"][stage])


def listed(key: str, paths: Sequence[Path]) -> str:
    """An override that sets a list of paths."""
    quoted = ",".join("'" + str(path.resolve()).replace("'", "\\'") + "'" for path in paths)
    return f"{key}=[{quoted}]"


def record_of(artifact: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((artifact / "record.json").read_text(encoding="utf-8"))
    return record


def collected_urls(artifact: Path) -> frozenset[str]:
    """Addresses of the pages that stage ``corpus`` collected."""
    rows = map(json.loads, (artifact / "pages.jsonl").open(encoding="utf-8"))
    return frozenset(row["url"] for row in rows if row["collected"])


def check_pages(urls: Sequence[str], collected: Collection[str], truth: Mapping[str, Truth]) -> Counts:
    """Collected pages against the labels; pages that the rule cannot tell are left out."""
    pairs = [(truth[url].is_math, url in collected) for url in urls if url in truth]
    return Counts(
        pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False)), pairs.count((False, False))
    )


def check_domains(
    urls: Sequence[str], collected: Collection[str], record: Mapping[str, Any], truth: Mapping[str, Truth]
) -> list[DomainCheck]:
    """Every manual in the crawl, and whether the last round calls its domain mathematical."""
    subjects = {manual.domain: manual.subject for manual in MANUALS}
    found = {item["domain"] for item in record["domains"]}
    pages: dict[str, list[str]] = defaultdict(list)
    for url in urls:
        pages[truth[url].domain].append(url)
    return [
        DomainCheck(
            domain,
            subjects[domain],
            len(pages[domain]),
            *_labelled(pages[domain], truth),
            sum(url in collected for url in pages[domain]),
            domain in found,
        )
        for domain in subjects
        if domain in pages
    ]


def check_paths(urls: Sequence[str], record: Mapping[str, Any], truth: Mapping[str, Truth]) -> list[PathCheck]:
    """Every URL path that was reviewed, by domain and path, with the truth about the pages under it."""
    by_place: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for review in record["reviews"]:
        by_place[review["domain"], review["path"]].append(review)
    found = []
    for (domain, path), reviews in sorted(by_place.items()):
        under = [url for url in urls if truth[url].domain == domain and _is_under(url, path)]
        last = max(reviews, key=lambda review: review["round"])
        rounds = tuple(sorted(review["round"] for review in reviews))
        found.append(
            PathCheck(domain, path, len(under), *_labelled(under, truth), last["share"], bool(last["accepted"]), rounds)
        )
    return found


def _is_under(url: str, path: str) -> bool:
    """``/`` means the pages at the root only, as in the domain rule."""
    from dsm_repro.corpus.url import directories

    parts = directories(url)
    wanted = tuple(part for part in path.split("/") if part)
    return parts[: len(wanted)] == wanted if wanted else not parts


def _labelled(urls: Sequence[str], truth: Mapping[str, Truth]) -> tuple[int, int]:
    """Pages that the truth can tell, and mathematical ones among them."""
    labels = [truth[url].is_math for url in urls if truth[url].is_math is not None]
    return len(labels), sum(bool(label) for label in labels)
