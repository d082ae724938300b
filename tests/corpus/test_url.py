"""One page, one address."""

from __future__ import annotations

import pytest

from dsm_repro.corpus.url import clean, dedup_key, directories, domain

SAME = [
    "http://www.example.org/questions/12/powers",
    "https://example.org/questions/12/powers/",
    "https://EXAMPLE.org:443/questions/12/powers#answer-3",
    "https://example.org/questions/12/powers?utm_source=feed",
    "http://example.org:80//questions/12/powers",
]


def test_spellings_of_one_address_share_a_key() -> None:
    keys = {dedup_key(cleaned) for url in SAME if (cleaned := clean(url)) is not None}
    assert keys == {"example.org/questions/12/powers"}


def test_different_pages_do_not() -> None:
    urls = ["https://e.org/a", "https://e.org/b", "https://e.org/a?page=2", "https://e.org/A", "https://m.e.org/a"]
    assert len({dedup_key(clean(url) or "") for url in urls}) == len(urls)


def test_index_page_is_its_directory() -> None:
    assert dedup_key("http://e.org/book/index.html") == dedup_key("http://e.org/book/")


@pytest.mark.parametrize("url", ["", "not a url", "mailto:a@b.org", "ftp://e.org/x", "http://", "http://[::1"])
def test_what_is_no_web_address(url: str) -> None:
    assert clean(url) is None


def test_domain_and_directories() -> None:
    url = "https://www.forum.example/questions/12/powers-of-two"
    assert domain(url) == "forum.example"
    assert directories(url) == ("questions", "12")
    assert directories("https://forum.example/about.html") == ()
