"""The iterative loop of §2.1: train, score, keep the top N tokens, find domains, extend the positives, train again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.classifier import line, train
from dsm_repro.corpus.domains import Domain, Partition, mathematical, newly_positive, partition, prefixes
from dsm_repro.corpus.review import Decision, Review
from dsm_repro.corpus.selection import Ranking, select, url_ranks
from dsm_repro.corpus.training_file import Side

if TYPE_CHECKING:
    import numpy as np

    from dsm_repro.corpus.crawl import Crawl

#: examples of a domain, and new domains named in a round's record
DOMAIN_EXAMPLES, NEW_DOMAINS = 3, 20


@dataclass(frozen=True)
class FoundDomain:
    """A mathematical domain, the first round that found it, and its collected pages with the highest scores."""

    domain: Domain
    first_round: int
    examples: tuple[str, ...]

    def state(self) -> dict[str, Any]:
        return {
            "domain": self.domain.domain,
            "pages": self.domain.pages,
            "collected": self.domain.collected,
            "share": self.domain.share,
            "examples": list(self.examples),
        }


@dataclass(frozen=True)
class Round:
    """One training of the classifier and what it collected; ``number`` counts from 1, the one on the seed alone."""

    number: int
    #: the classifier's file, and how it did on held-out pages
    model: Path
    held_out: dict[str, Any]
    calibration: list[dict[str, Any]]
    #: distinct pages that the two sides are drawn from
    positives: int
    negatives: int
    #: pages scored, those collected, and their tokens
    scored: int
    pages: int
    tokens: int
    #: score of the last page collected: what "top N tokens" means as a threshold
    threshold: float | None
    #: mask over rows
    collected: np.ndarray
    #: what this round's scores would collect at the volume of the last round: rounds compare at equal volume
    at_full_volume: np.ndarray
    #: share of the pages collected now that the round before had collected; None in round 1
    overlap: float | None
    domains: tuple[FoundDomain, ...]
    in_math_domains: int
    proposed: int
    #: entries of the record's ``reviews``; none in the last round, after which nothing is trained
    reviews: tuple[dict[str, Any], ...]
    #: pages that the accepted paths add to the positives of the next round
    new_positives: int

    def state(self) -> dict[str, Any]:
        """An entry of the record's ``rounds``."""
        new = [found for found in self.domains if found.first_round == self.number]
        new.sort(key=lambda found: (-found.domain.collected, found.domain.domain))
        return {
            "round": self.number,
            "positives": self.positives,
            "negatives": self.negatives,
            "held_out": self.held_out,
            "calibration": self.calibration,
            "pages": self.pages,
            "tokens": self.tokens,
            "threshold": self.threshold,
            "overlap": self.overlap,
            "math_domains": len(self.domains),
            "new_domains": [found.state() for found in new[:NEW_DOMAINS]],
            "proposed_prefixes": self.proposed,
            "accepted_prefixes": sum(review["accepted"] for review in self.reviews),
            "new_positives": self.new_positives,
            "funnel": {
                "scored": self.scored,
                "collected": self.pages,
                "in_math_domains": self.in_math_domains,
            },
        }


def collected_domains(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """``domains`` of the record: those that are mathematical after the last round, by name."""
    return [{**found.state(), "first_round": found.first_round} for found in rounds[-1].domains]


def reviews(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """``reviews`` of the record: every decision on a URL path."""
    return [{"round": item.number, **review} for item in rounds for review in item.reviews]


def curate(
    crawl: Crawl,
    clean: Sequence[bool],
    seeds: Sequence[str],
    config: CorpusConfig,
    seed: int,
    folder: Path,
    score: Callable[[Path], np.ndarray],
    review: Review,
    on_progress: Callable[[float, float, str], None] = lambda done, total, unit: None,
) -> tuple[Ranking, list[Round]]:
    """Rank the crawl's clean pages by the classifier of the last round.

    Pages under accepted URL paths that were not collected become positives. From the second round on
    negatives are not drawn from the collected pages of mathematical domains, unless fewer pages than
    positives would be left.

    Args:
        clean: by row; the other pages count in their domain's pages, and nowhere else.
        seeds: texts of the seed corpus, the positives of the first round.
        seed: decides samples, order and initialisation.
        folder: for the models, one folder for each round; a model found there is not trained again.
        score: scores of all rows by a saved model, from 0 to 1.

    Rounds collect the shares ``config.volumes`` of ``top_tokens``, the last one all of it. The loop ends after
    ``config.rounds`` trainings, or when ``stop_overlap`` of a round's collection at full volume had been
    collected before (the paper stops at about 98%).

    Raises:
        DataError: there is nothing to train on. ReviewNeeded: paths wait for a person's decision.
    """
    import numpy as np

    allowed = np.asarray(clean, dtype=bool)
    tokens = np.asarray(crawl.tokens, dtype=np.int64)
    ranks = url_ranks(crawl.urls)
    parted = partition(crawl.domains)
    positive = np.zeros(len(crawl), dtype=bool)
    known = np.zeros(len(crawl), dtype=bool)  # collected in the round before, in a mathematical domain
    first_rounds: dict[str, int] = {}
    rounds: list[Round] = []
    while True:
        number = len(rounds) + 1
        on_progress(number - 1, config.rounds, "rounds")
        positives = _positives(crawl, seeds, np.flatnonzero(positive))
        negatives = np.flatnonzero(allowed & ~positive & ~known)
        if len(negatives) < min(positives.count, config.classifier.negatives):
            negatives = np.flatnonzero(allowed & ~positive)
        classifier = train(positives, _pages(crawl, negatives), config.classifier, seed, folder / f"round-{number}")
        scores = np.asarray(score(classifier.path), dtype=np.float32)
        volume = 1.0 if number == config.rounds else config.volumes[min(number, len(config.volumes)) - 1]
        ranking = select(scores, tokens, ranks, allowed, volume * config.top_tokens)
        whole = ranking if volume == 1 else select(scores, tokens, ranks, allowed, config.top_tokens)
        before = rounds[-1].collected if rounds else None
        overlap = None if before is None else float((ranking.collected & before).sum() / max(ranking.pages, 1))
        settled = overlap is not None and overlap >= config.stop_overlap and ranking.pages == whole.collected.sum()
        last = number == config.rounds or settled

        domains = mathematical(parted, ranking.collected, config.domain_threshold)
        known = ranking.collected & _inside(parted, domains)
        waiting = allowed & ~ranking.collected & ~positive
        proposed = prefixes(
            crawl.urls, parted, allowed, ranking.collected, waiting, domains, review.share, review.named()
        )
        decisions = [] if last else review(proposed, crawl)
        joining = newly_positive(crawl.urls, parted, waiting, _accepted(decisions))
        for domain in domains:
            first_rounds.setdefault(domain.domain, number)
        rounds.append(
            Round(
                number=number,
                model=classifier.path,
                held_out=classifier.held_out.state(),
                calibration=classifier.calibration,
                positives=positives.count,
                negatives=len(negatives),
                scored=len(ranking.order),
                pages=ranking.pages,
                tokens=ranking.collected_tokens,
                threshold=ranking.threshold,
                collected=ranking.collected,
                at_full_volume=whole.collected,
                overlap=overlap,
                domains=_with_examples(crawl, parted, ranking, domains, first_rounds),
                in_math_domains=int(known.sum()),
                proposed=len(proposed),
                reviews=tuple(decision.state(crawl.urls) for decision in decisions),
                new_positives=len(joining),
            )
        )
        if last:
            return ranking, rounds
        positive[joining] = True


def _pages(crawl: Crawl, rows: np.ndarray) -> Side:
    """Rows of the crawl as one side of the classifier."""
    return Side(len(rows), lambda numbers: map(line, crawl.texts(rows[numbers].tolist())))


def _positives(crawl: Crawl, seeds: Sequence[str], rows: np.ndarray) -> Side:
    """The seed documents, then pages of the crawl."""
    pages = _pages(crawl, rows)

    def lines(numbers: Sequence[int]) -> list[str]:
        of_seeds = [line(seeds[number]) for number in numbers if number < len(seeds)]
        return [*of_seeds, *pages.lines([number - len(seeds) for number in numbers if number >= len(seeds)])]

    return Side(len(seeds) + pages.count, lines)


def _inside(parted: Partition, domains: Sequence[Domain]) -> np.ndarray:
    """Mask over rows: pages in these domains."""
    import numpy as np

    names = {domain.domain for domain in domains}
    return np.array([name in names for name in parted.names], dtype=bool)[parted.of_row]


def _accepted(decisions: Sequence[Decision]) -> dict[tuple[str, tuple[str, ...]], bool]:
    return {(decision.prefix.domain, decision.prefix.directory): decision.accepted for decision in decisions}


def _with_examples(
    crawl: Crawl, parted: Partition, ranking: Ranking, domains: Sequence[Domain], first_rounds: dict[str, int]
) -> tuple[FoundDomain, ...]:
    best: dict[str, list[str]] = {domain.domain: [] for domain in domains}
    for row in ranking.order[: ranking.pages].tolist():
        found = best.get(parted.names[parted.of_row[row]])
        if found is not None and len(found) < DOMAIN_EXAMPLES:
            found.append(crawl.urls[row])
    return tuple(FoundDomain(domain, first_rounds[domain.domain], tuple(best[domain.domain])) for domain in domains)
