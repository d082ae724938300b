"""What curation left in its records: each corpus of a sweep once, with the arms that stand on it.

A record may be older than this report or lack a part. What is not there, or not of the kind that it
should be, reads as None or empty, and the page says "not recorded". URLs, paths, n-grams and details
were written by strangers: they reach a page only through :func:`printable`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dsm_repro.reporting.records import Run, Sweep
from dsm_repro.reporting.values import items, mapping, number, records

#: characters of a foreign text that are shown
PRINTED = 240


@dataclass(frozen=True)
class Corpus:
    """The records of one curation. ``crawl`` or ``record`` is empty where that stage left none."""

    #: counts from 1, in the order of the arms
    number: int
    arms: tuple[str, ...]
    #: the arms, with their seeds where an arm has several corpora
    label: str
    key: str
    crawl_key: str
    #: of stage ``crawl``
    crawl: Mapping[str, Any]
    #: of stage ``corpus``
    record: Mapping[str, Any]
    #: the parts of the configuration that decide the pages
    settings: Mapping[str, Any]

    def part(self, name: str) -> Any:
        """A part of the corpus's record, else of its crawl's; None where neither has it."""
        return self.record.get(name, self.crawl.get(name))

    @property
    def rounds(self) -> list[Mapping[str, Any]]:
        return records(self.record.get("rounds"))

    @property
    def truth(self) -> dict[str, Any]:
        """Figures against hidden labels, of both stages; empty for a crawl without such labels."""
        return {**mapping(self.crawl.get("truth")), **mapping(self.record.get("truth"))}

    @property
    def funnel(self) -> list[tuple[str, float]]:
        """(step, pages left after it), in order."""
        pairs = [p for p in items(self.part("funnel")) if isinstance(p, list | tuple) and len(p) == 2]
        return [(str(name), n) for name, value in pairs if (n := number(value)) is not None]


@dataclass(frozen=True)
class Histogram:
    """Pages by a quantity: all of them and those collected, one number for each bin.

    ``edges`` has one entry more than there are bins; None is an open end.
    """

    edges: tuple[float | None, ...]
    pages: tuple[float, ...]
    collected: tuple[float, ...]


def corpora(sweep: Sweep) -> list[Corpus]:
    """Every corpus of the sweep once, in the order of first use; also one of which only the crawl is done."""
    users: dict[tuple[str, str], list[Run]] = {}
    for run in sweep.runs:
        if "crawl" in run.artifacts or "corpus" in run.artifacts:
            users.setdefault((run.keys.get("corpus", ""), run.keys.get("crawl", "")), []).append(run)
    several = {arm for arm in sweep.arms if sum(any(r.arm == arm for r in runs) for runs in users.values()) > 1}
    found = []
    for i, ((key, crawl_key), runs) in enumerate(users.items(), 1):
        artifacts = {stage: r.artifacts[stage] for r in runs for stage in ("crawl", "corpus") if stage in r.artifacts}
        arms = tuple(dict.fromkeys(run.arm for run in runs))
        names = [_named(arm, runs) if arm in several else arm for arm in arms]
        found.append(
            Corpus(
                number=i,
                arms=arms,
                label=", ".join(names),
                key=key,
                crawl_key=crawl_key,
                crawl=artifacts["crawl"].record if "crawl" in artifacts else {},
                record=artifacts["corpus"].record if "corpus" in artifacts else {},
                settings=_settings(runs[0].config),
            )
        )
    return found


def _named(arm: str, runs: list[Run]) -> str:
    seeds = [str(run.seed) for run in runs if run.arm == arm]
    return f"{arm} (seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)})"


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    seed = mapping(config.get("seeds")).get("corpus")
    chosen = {name: mapping(config.get(name)) for name in ("corpus", "problems")}
    return {**chosen, **({} if seed is None else {"seeds": {"corpus": seed}})}


def varied(found: list[Corpus]) -> dict[str, list[Any]]:
    """Configuration path -> its value in each corpus, of those that are not the same in all; "" where it is not set."""
    flat = [_leaves(corpus.settings) for corpus in found]
    paths = sorted(set().union(*flat))
    values = {path: [leaves.get(path, "") for leaves in flat] for path in paths}
    return {path: each for path, each in values.items() if any(value != each[0] for value in each)}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves


def histogram(value: object) -> Histogram | None:
    """A histogram of a record; None where its lists are missing or do not fit together."""
    part = mapping(value)
    edges = [number(edge) for edge in items(part.get("edges"))]
    pages = [number(n) for n in items(part.get("pages"))]
    collected = [number(n) for n in items(part.get("collected"))]
    if len(edges) == len(pages):
        edges.append(None)
    inner = [edge for edge in edges[1:-1] if edge is not None]
    if not pages or len(collected) != len(pages) or len(edges) != len(pages) + 1 or len(inner) != len(edges) - 2:
        return None
    closed = [edge for edge in edges if edge is not None]
    if any(low >= high for low, high in pairwise(closed)):
        return None
    return Histogram(tuple(edges), tuple(n or 0.0 for n in pages), tuple(n or 0.0 for n in collected))


def printable(value: object, most: int = PRINTED) -> str:
    """A foreign text on one line: nothing that is invisible, turns the writing round, or ends a code span.

    Such characters, and a backslash that would unmake the escape of a following bar, are shown as
    escapes (``\\u202e``); what is longer than ``most`` characters ends in an ellipsis.
    """
    text = " ".join(str(value)[: 4 * most].split())
    if text.isprintable() and "`" not in text and "\\|" not in text:
        return _shortened(text, most)
    shown = []
    for i, character in enumerate(text):
        splits = character == "\\" and text[i + 1 : i + 2] == "|"
        if character == "`" or splits:
            shown.append(f"\\x{ord(character):02x}")
        elif unicodedata.category(character)[0] == "C":
            shown.append(character.encode("unicode_escape").decode("ascii"))
        else:
            shown.append(character)
    return _shortened("".join(shown), most)


def _shortened(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"
