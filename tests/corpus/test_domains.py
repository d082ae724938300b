"""The domain rule of §2.1 on a crawl small enough to count by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from dsm_repro.corpus.domains import Domain, Prefix, mathematical, newly_positive, partition, prefixes

FORUM = [f"http://forum.example/questions/{number}/title" for number in range(4)]
FORUM += ["http://forum.example/users/1/ann", "http://forum.example/users/2/ben"]
NEWS = [f"http://news.example/story/{number}" for number in range(10)]
CRAWL = [*FORUM, *NEWS]
#: 3 of 6 forum pages, 1 of 10 news pages: exactly 10% is not over 10%
COLLECTED = {*FORUM[:3], NEWS[0]}


def mask(urls: Sequence[str], chosen: Collection[str]) -> np.ndarray:
    return np.array([url in chosen for url in urls])


def found(urls: Sequence[str], collected: Collection[str], threshold: float = 0.1) -> list[Domain]:
    return mathematical(partition([url.split("/")[2] for url in urls]), mask(urls, collected), threshold)


def proposed(
    urls: Sequence[str],
    collected: Collection[str],
    dirty: Collection[str] = (),
    positive: Collection[str] = (),
    named: dict[str, frozenset[tuple[str, ...]]] | None = None,
) -> list[Prefix]:
    parted = partition([url.split("/")[2] for url in urls])
    clean, kept = ~mask(urls, dirty), mask(urls, collected)
    waiting = clean & ~kept & ~mask(urls, positive)
    return prefixes(urls, parted, clean, kept, waiting, found(urls, collected), 0.5, named)


def joining(urls: Sequence[str], collected: Collection[str], accepted: dict[str, bool]) -> list[str]:
    parted = partition([url.split("/")[2] for url in urls])
    decided = {(path.partition("/")[0], tuple(path.split("/")[1:-1])): yes for path, yes in accepted.items()}
    return [urls[row] for row in newly_positive(urls, parted, ~mask(urls, collected), decided)]


def test_domain_must_exceed_the_threshold_over_all_its_pages() -> None:
    assert found(CRAWL, COLLECTED) == [Domain("forum.example", 6, 3)]
    assert [item.domain for item in found(CRAWL, COLLECTED, 0.09)] == ["forum.example", "news.example"]


def test_paths_with_something_left_are_proposed_by_effect() -> None:
    paths = proposed(CRAWL, COLLECTED)
    assert [(item.path, item.pages, item.collected, item.effect) for item in paths] == [
        ("/users/", 2, 0, 2),
        ("/questions/", 4, 3, 1),
    ]
    assert [CRAWL[row] for row in paths[1].samples] == [FORUM[3]]


def test_contaminated_pages_and_positives_do_not_wait() -> None:
    # a contaminated page is no part of the path; a positive is, but would not join again
    paths = proposed(CRAWL, COLLECTED, dirty=[FORUM[5]], positive=[FORUM[3]])
    assert [(item.path, item.pages, item.collected, item.effect) for item in paths] == [("/users/", 1, 0, 1)]


def test_mixed_section_proposes_its_own_directories() -> None:
    urls = [f"http://b.example/wiki/maths/{n}.html" for n in range(4)]
    urls += [f"http://b.example/wiki/music/{n}.html" for n in range(8)]
    urls += ["http://b.example/wiki/few/1.html"]  # two pages fewer than a section
    assert [item.path for item in proposed(urls, urls[:3])] == ["/wiki/", "/wiki/music/", "/wiki/maths/"]


def test_a_poor_directory_inside_a_rich_one_is_proposed_on_its_own() -> None:
    urls = [f"http://b.example/q/{n}/title" for n in range(20)] + [f"http://b.example/q/tagged/{n}" for n in range(3)]
    paths = proposed(urls, urls[:19])
    assert [(item.path, item.effect) for item in paths] == [("/q/", 4), ("/q/tagged/", 3)]
    accepted = {"b.example/q/": True, "b.example/q/tagged/": False}
    assert joining(urls, urls[:19], accepted) == [urls[19]]


def test_the_longest_path_decides() -> None:
    urls = ["http://b.example/a/x/1", "http://b.example/a/y/1", "http://b.example/a/2", "http://b.example/3"]
    assert joining(urls, [], {"b.example/a/": False, "b.example/a/x/": True}) == urls[:1]
    assert joining(urls, [], {"b.example/a/": True, "b.example/a/x/": False}) == urls[1:3]
    assert joining(urls, [], {"b.example/b/": True}) == []
    assert joining(urls, [], {}) == []


def test_root_pages_are_a_path_of_their_own() -> None:
    urls = [f"http://c.example/{name}" for name in ("a.html", "b.html", "shop/c.html")]
    assert [item.path for item in proposed(urls, urls[:1])] == ["/", "/shop/"]
    assert joining(urls, urls[:1], {"c.example/": True}) == [urls[1]]


def test_a_path_that_a_person_named_is_proposed_at_any_depth() -> None:
    urls = [f"http://d.example/a/b/c/d/{n}" for n in range(2)]
    named = {"d.example": frozenset({("a", "b", "c", "d")})}
    assert [item.path for item in proposed(urls, urls[:1])] == ["/a/"]
    assert [item.path for item in proposed(urls, urls[:1], named=named)] == ["/a/", "/a/b/c/d/"]


def test_samples_are_spread_over_the_pages_that_wait() -> None:
    urls = [f"http://e.example/q/{number:03}" for number in range(110)]
    (path,) = proposed(urls, urls[:10] + urls[100:])
    assert [urls[row][-3:] for row in path.samples] == ["010", "028", "046", "064", "082"]
