"""What the collected pages are made of: domains, source types, languages, page lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.selection import Ranking

#: domains named in the record, by collected tokens
TOP_DOMAINS = 30
#: page lengths are shown in bins that grow as 10, 20, 50, 100, …
_SMALLEST_EDGE = 10


def composition(crawl: Crawl, ranking: Ranking) -> dict[str, Any]:
    """``composition`` of the record: pages and tokens of the whole crawl and of what was collected."""
    domains = _shares(crawl.domains, ranking)
    largest = sorted(domains.items(), key=lambda item: (-item[1]["collected_tokens"], -item[1]["tokens"], item[0]))
    return {
        "domain": [{"domain": name, **share} for name, share in largest[:TOP_DOMAINS]],
        "source_type": _shares(crawl.source_types, ranking),
        "language": _shares(crawl.languages, ranking),
        "tokens": _lengths(ranking),
    }


def _shares(names: Sequence[str], ranking: Ranking) -> dict[str, dict[str, int]]:
    """Pages and tokens of every name, by name."""
    import numpy as np

    kinds = sorted(set(names))
    number = {name: index for index, name in enumerate(kinds)}
    of_row = np.fromiter((number[name] for name in names), dtype=np.int64, count=len(names))
    kept = of_row[ranking.collected]

    def summed(rows: np.ndarray, weights: np.ndarray | None = None) -> list[int]:
        # sums of whole numbers below 2**53 are exact in float64
        sums: list[int] = np.bincount(rows, weights, len(kinds)).astype(np.int64).tolist()
        return sums

    columns = {
        "pages": summed(of_row),
        "tokens": summed(of_row, ranking.tokens),
        "collected": summed(kept),
        "collected_tokens": summed(kept, ranking.tokens[ranking.collected]),
    }
    return {name: {key: values[index] for key, values in columns.items()} for index, name in enumerate(kinds)}


def _lengths(ranking: Ranking) -> dict[str, list[int]]:
    """Pages by their tokens."""
    import numpy as np

    edges = [0, _SMALLEST_EDGE]
    longest = int(ranking.tokens.max(initial=0))
    while edges[-1] <= longest:
        edges.append(edges[-1] * 5 // 2 if str(edges[-1])[0] == "2" else edges[-1] * 2)
    pages, _ = np.histogram(ranking.tokens, edges)
    collected, _ = np.histogram(ranking.tokens[ranking.collected], edges)
    return {"edges": edges, "pages": pages.tolist(), "collected": collected.tolist()}
