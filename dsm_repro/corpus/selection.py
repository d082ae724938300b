"""The top N tokens by score (§2.1), and the score threshold that this means. Pages are row numbers of the crawl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import DataError

if TYPE_CHECKING:
    import numpy as np

#: bins of the histogram of scores, of equal width from 0 to 1
BINS = 20


@dataclass(frozen=True)
class Ranking:
    """Pages by score. ``order`` holds the rows that may be collected, best first; the other arrays go by row."""

    order: np.ndarray
    #: float32, from 0 to 1
    scores: np.ndarray
    tokens: np.ndarray
    #: the best pages until their tokens reach the budget, the page that reaches it included
    collected: np.ndarray

    @property
    def pages(self) -> int:
        """How many are collected."""
        return int(self.collected.sum())

    @property
    def collected_tokens(self) -> int:
        return int(self.tokens[self.collected].sum())

    @property
    def threshold(self) -> float | None:
        """Score of the last page collected; None if there is none."""
        return float(self.scores[self.order[self.pages - 1]]) if self.pages else None

    def rows_until(self, tokens: int) -> list[int]:
        """The best rows until their tokens reach ``tokens``, the row that reaches it included."""
        found: list[int] = self.order[: _reaching(self.tokens[self.order], tokens)].tolist()
        return found

    def histogram(self) -> dict[str, Any]:
        """``histogram`` of the record: pages by score, and those collected."""
        import numpy as np

        edges = [index / BINS for index in range(BINS + 1)]
        pages, _ = np.histogram(self.scores[self.order], edges)
        collected, _ = np.histogram(self.scores[self.collected], edges)
        return {
            "edges": edges,
            "pages": pages.tolist(),
            "collected": collected.tolist(),
            "threshold": self.threshold,
        }


def url_ranks(urls: Sequence[str]) -> np.ndarray:
    """Where every row stands when rows are sorted by URL: what breaks ties between scores."""
    import numpy as np

    ranks = np.empty(len(urls), dtype=np.int64)
    ranks[sorted(range(len(urls)), key=urls.__getitem__)] = np.arange(len(urls))
    return ranks


def select(
    scores: np.ndarray, tokens: np.ndarray, ranks: np.ndarray, clean: np.ndarray, top_tokens: int | float
) -> Ranking:
    """Clean rows by falling score (``ranks`` breaks ties), those that fill ``top_tokens`` collected.

    Raises:
        DataError: a row has no score between 0 and 1.
    """
    import numpy as np

    if len(scores) != len(tokens) or not bool(((scores >= 0) & (scores <= 1)).all()):
        raise DataError(
            f"classifier: {len(scores)} scores for {len(tokens)} pages, from {scores.min(initial=1)} to "
            f"{scores.max(initial=0)}: every page needs one from 0 to 1. Delete the stage's folder and run again."
        )
    order = np.lexsort((ranks, -scores))
    order = order[clean[order]]
    collected = np.zeros(len(scores), dtype=bool)
    collected[order[: _reaching(tokens[order], top_tokens)]] = True
    return Ranking(order, scores, tokens, collected)


def _reaching(tokens: np.ndarray, budget: int | float) -> int:
    """How many of the first entries it takes until their sum reaches the budget."""
    import numpy as np

    return int(np.count_nonzero(np.cumsum(tokens) - tokens < budget))
