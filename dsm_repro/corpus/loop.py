"""The iterative loop of §2.1: train, score, keep the top N tokens, find domains, extend the positives, train again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import CorpusConfig
from dsm_repro.corpus.classifier import line, train
from dsm_repro.corpus.domains import Decision, Domain, decide_automatically, mathematical, newly_positive, prefixes
from dsm_repro.corpus.pages import Page

_SCORE_BATCH = 200


@dataclass(frozen=True)
class Ranked:
    page: Page
    score: float
    #: among the top N tokens
    collected: bool


@dataclass(frozen=True)
class Round:
    """One training of the classifier and what it collected. ``number`` 0 is the one on the seed alone."""

    number: int
    #: distinct pages that the two sides are drawn from
    positives: int
    negatives: int
    held_out: dict[str, Any]
    pages: int
    tokens: int
    #: score of the last page collected: what "top N tokens" means as a threshold
    threshold: float | None
    #: share of the pages collected now that the round before had collected; None in round 0
    overlap: float | None
    domains: tuple[Domain, ...]
    decisions: tuple[Decision, ...]
    #: pages that the accepted paths add to the positives of the next round
    new_positives: int
    collected: frozenset[str]

    def state(self) -> dict[str, Any]:
        """For ``record.json``; the URLs collected are left out."""
        return {
            "round": self.number,
            "positives": self.positives,
            "negatives": self.negatives,
            "held_out": self.held_out,
            "pages": self.pages,
            "tokens": self.tokens,
            "threshold": self.threshold,
            "overlap": self.overlap,
            "math_domains": len(self.domains),
            "accepted_prefixes": sum(decision.accepted for decision in self.decisions),
            "new_positives": self.new_positives,
        }


def select(pages: Sequence[Page], scores: Sequence[float], top_tokens: int) -> list[Ranked]:
    """All pages by falling score (URL breaks ties); those that fill ``top_tokens`` are collected, the last included."""
    ranked, tokens = [], 0
    for page, score in sorted(zip(pages, scores, strict=True), key=lambda pair: (-pair[1], pair[0].url)):
        ranked.append(Ranked(page, score, collected=tokens < top_tokens))
        tokens += page.tokens
    return ranked


def curate(
    pages: Sequence[Page],
    crawl: Sequence[Page],
    seeds: Sequence[str],
    config: CorpusConfig,
    seed: int,
    folder: Path,
    on_progress: Callable[[float, float, str], None] = lambda done, total, unit: None,
) -> tuple[list[Ranked], list[Round]]:
    """Rank ``pages`` by the classifier of the last round.

    Args:
        pages: what may be collected.
        crawl: the whole deduplicated crawl, over which the domains' shares are taken.
        seeds: texts of the seed corpus, the positives of the first round.
        seed: decides samples, order and initialisation.
        folder: for the classifier's training file.

    The loop retrains ``config.rounds`` times, and stops earlier when ``stop_overlap`` of a round's
    collection had been collected before (the paper stops at about 98%).

    Raises:
        ConfigError: ``corpus.review`` is not ``auto``.
    """
    if config.review != "auto":
        raise ConfigError(f"corpus.review={config.review}: use auto")
    text_lines = {page.url: line(page.text) for page in crawl}
    seed_lines = [line(text) for text in seeds]
    added: dict[str, Page] = {}
    rounds: list[Round] = []
    total = float(len(pages) * (config.rounds + 1))
    while True:
        number = len(rounds)
        positives = seed_lines + [text_lines[url] for url in sorted(added)]
        # random pages of the crawl, but never one that stands on the other side
        negatives = [text_lines[page.url] for page in crawl if page.url not in added]
        classifier = train(positives, negatives, config.classifier, seed, folder)
        scores: list[float] = []
        for start in range(0, len(pages), _SCORE_BATCH):
            scores += classifier.scores([text_lines[page.url] for page in pages[start : start + _SCORE_BATCH]])
            on_progress(number * len(pages) + len(scores), total, "pages scored")
        ranked = select(pages, scores, config.top_tokens)
        kept = [item for item in ranked if item.collected]
        collected = frozenset(item.page.url for item in kept)
        overlap = len(collected & rounds[-1].collected) / max(len(collected), 1) if rounds else None
        domains = mathematical(crawl, collected, config.domain_threshold)
        decisions = decide_automatically(prefixes(pages, collected, domains))
        joining = [page for page in newly_positive(pages, collected, decisions) if page.url not in added]
        rounds.append(
            Round(
                number=number,
                positives=len(positives),
                negatives=len(negatives),
                held_out=classifier.held_out.state(),
                pages=len(kept),
                tokens=sum(item.page.tokens for item in kept),
                threshold=kept[-1].score if kept else None,
                overlap=overlap,
                domains=tuple(domains),
                decisions=tuple(decisions),
                new_positives=len(joining),
                collected=collected,
            )
        )
        if number >= config.rounds or (overlap is not None and overlap >= config.stop_overlap):
            return ranked, rounds
        added.update((page.url, page) for page in joining)
