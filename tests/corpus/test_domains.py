"""The domain rule of §2.1 on a crawl small enough to count by hand."""

from __future__ import annotations

from dsm_repro.corpus.domains import decide_automatically, mathematical, newly_positive, prefixes
from dsm_repro.corpus.pages import Page


def page(url: str) -> Page:
    return Page(url, url.split("/")[2], "text", 1, "test")


FORUM = [f"http://forum.example/questions/{number}/title" for number in range(4)]
FORUM += ["http://forum.example/users/1/ann", "http://forum.example/users/2/ben"]
NEWS = [f"http://news.example/story/{number}" for number in range(10)]
CRAWL = [page(url) for url in [*FORUM, *NEWS]]
#: 3 of 6 forum pages, 1 of 10 news pages: exactly 10% is not over 10%
COLLECTED = {*FORUM[:3], NEWS[0]}


def test_domain_must_exceed_the_threshold() -> None:
    found = mathematical(CRAWL, COLLECTED, 0.10)
    assert [(item.domain, item.pages, item.collected) for item in found] == [("forum.example", 6, 3)]
    assert [item.domain for item in mathematical(CRAWL, COLLECTED, 0.09)] == ["forum.example", "news.example"]


def test_paths_are_accepted_by_their_own_share() -> None:
    proposed = prefixes(CRAWL, COLLECTED, mathematical(CRAWL, COLLECTED, 0.10))
    assert [(item.path, item.pages, item.collected, item.effect) for item in proposed] == [
        ("/users/", 2, 0, 2),
        ("/questions/", 4, 3, 1),
    ]
    decisions = decide_automatically(proposed)
    assert [(item.accepted, item.by) for item in decisions] == [(False, "auto"), (True, "auto")]
    assert [item.url for item in newly_positive(CRAWL, COLLECTED, decisions)] == [FORUM[3]]


def test_mixed_section_proposes_its_own_directories() -> None:
    urls = [f"http://b.example/wiki/maths/{n}.html" for n in range(4)] + [
        f"http://b.example/wiki/music/{n}.html" for n in range(8)
    ]
    crawl = [page(url) for url in urls]
    collected = set(urls[:3])
    decisions = decide_automatically(prefixes(crawl, collected, mathematical(crawl, collected, 0.10)))
    assert {item.prefix.path: item.accepted for item in decisions} == {
        "/wiki/": False,
        "/wiki/music/": False,
        "/wiki/maths/": True,
    }
    assert [item.url for item in newly_positive(crawl, collected, decisions)] == [urls[3]]


def test_root_pages_are_a_path_of_their_own() -> None:
    crawl = [page(f"http://c.example/{name}") for name in ("a.html", "b.html", "shop/c.html")]
    decisions = decide_automatically(prefixes(crawl, {crawl[0].url}, mathematical(crawl, {crawl[0].url}, 0.1)))
    assert [item.url for item in newly_positive(crawl, {crawl[0].url}, decisions)] == [crawl[1].url]
