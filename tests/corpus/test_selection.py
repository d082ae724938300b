"""The top N tokens by score, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dsm_repro.config.errors import DataError
from dsm_repro.corpus.composition import composition
from dsm_repro.corpus.selection import Ranking, select, url_ranks


def ranking(scores: list[float], tokens: list[int], top_tokens: float, urls: str = "", dirty: str = "") -> Ranking:
    names = urls or "abcdefgh"[: len(scores)]
    clean = np.array([name not in dirty for name in names])
    return select(np.float32(scores), np.array(tokens), url_ranks(names), clean, top_tokens)


def test_budget_is_reached_by_the_last_page_collected_and_urls_break_ties() -> None:
    found = ranking([0.1, 0.9, 0.5, 0.9], [4, 4, 4, 4], 9)
    assert found.order.tolist() == [1, 3, 2, 0]
    assert found.collected.tolist() == [False, True, True, True]
    assert (found.pages, found.collected_tokens, found.threshold) == (3, 12, 0.5)
    # the same pages under other addresses: the smaller address comes first
    assert ranking([0.9, 0.9], [4, 4], 4, urls="zy").order.tolist() == [1, 0]


@pytest.mark.parametrize(("top_tokens", "pages"), [(8, 2), (8.01, 3), (1, 1), (100, 4), (0, 0)])
def test_budget_is_not_exceeded_by_a_whole_page(top_tokens: float, pages: int) -> None:
    assert ranking([0.4, 0.3, 0.2, 0.1], [4, 4, 4, 4], top_tokens).pages == pages


def test_contaminated_pages_are_not_ranked() -> None:
    found = ranking([0.9, 0.8, 0.7], [5, 5, 5], 10, dirty="a")
    assert found.order.tolist() == [1, 2]
    assert found.collected.tolist() == [False, True, True]
    assert sum(found.histogram()["pages"]) == 2


def test_nothing_collected_has_no_threshold() -> None:
    found = ranking([0.9], [5], 10, dirty="a")
    assert (found.pages, found.collected_tokens, found.threshold) == (0, 0, None)


def test_rows_until_go_beyond_the_cut() -> None:
    found = ranking([0.4, 0.9, 0.2, 0.3], [4, 4, 4, 4], 4)
    assert [found.rows_until(tokens) for tokens in (0, 4, 5, 99)] == [[], [1], [1, 0], [1, 0, 3, 2]]


def test_histogram_counts_pages_and_those_above_the_cut() -> None:
    found = ranking([0.0, 0.04, 0.05, 0.97, 1.0], [1, 1, 1, 1, 1], 2).histogram()
    assert (len(found["edges"]), found["edges"][0], found["edges"][-1]) == (21, 0.0, 1.0)
    assert found["pages"] == [2, 1, *[0] * 16, 0, 2]
    assert found["collected"] == [*[0] * 19, 2]
    assert found["threshold"] == pytest.approx(0.97)


@pytest.mark.parametrize("scores", [[0.5, float("nan")], [0.5, 1.5], [-0.1, 0.5], [0.5]])
def test_a_page_without_a_score_is_an_error(scores: list[float]) -> None:
    with pytest.raises(DataError, match="every page needs one from 0 to 1"):
        select(np.float32(scores), np.array([1, 1]), np.arange(2), np.ones(2, bool), 1)


def test_composition_by_hand() -> None:
    class Pages:
        domains = ("a.example", "b.example", "a.example")
        source_types = ("forum", "", "blog")
        languages = ("en", "en", "")

    found = composition(Pages(), ranking([0.9, 0.8, 0.1], [10, 20, 400], 30))  # type: ignore[arg-type]
    assert found["domain"] == [
        {"domain": "b.example", "pages": 1, "tokens": 20, "collected": 1, "collected_tokens": 20},
        {"domain": "a.example", "pages": 2, "tokens": 410, "collected": 1, "collected_tokens": 10},
    ]
    assert found["source_type"][""] == {"pages": 1, "tokens": 20, "collected": 1, "collected_tokens": 20}
    assert found["language"]["en"] == {"pages": 2, "tokens": 30, "collected": 2, "collected_tokens": 30}
    assert found["tokens"] == {
        "edges": [0, 10, 20, 50, 100, 200, 500],
        "pages": [0, 1, 1, 0, 0, 1],
        "collected": [0, 1, 1, 0, 0, 0],
    }
