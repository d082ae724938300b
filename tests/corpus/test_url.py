"""One page, one address; and two pages, two."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dsm_repro.corpus.url import MAX_URL_CHARACTERS, clean, dedup_key, directories, domain

SESSION = "0123456789abcdef0123456789abcdef"
#: key -> spellings of one address
SAME = {
    "example.org/questions/12/powers": [
        "http://www.example.org/questions/12/powers",
        "https://example.org/questions/12/powers/",
        "HTTPS://EXAMPLE.org:443/questions/12/powers#answer-3",
        "https://example.org./questions/12/powers?utm_source=feed&utm_medium=x&fbclid=1&gclid=2&ref=hn",
        "http://example.org:80//questions/12/powers",
        "http://user:secret@example.org/questions/12/powers",
        "http://example.org/questions/11/../12/./powers",
        "http://example.org/../questions/%2e%2e/questions/12/powers",
        "http://example.org/questions/12/powers;jsessionid=0A1B?PHPSESSID=77",
        f"http://example.org/questions/12/powers?sid={SESSION}&sessionid=1",
        "  http://example.org/questions/12/powers\n",
    ],
    "example.org/~user/a%2Fb?a=1&b=2": [
        "http://example.org/%7euser/a%2fb?b=2&a=1", "http://example.org/~user/a%2Fb?a=1&amp;b=2",
    ],
    "bücher.example/%C3%A4": ["http://bücher.example/ä", "http://xn--bcher-kva.example/%c3%a4"],
    "example.org/a%20b": ["http://example.org/a b", "http://example.org/a%20b"],
    "[2001:db8::1]/a": ["http://[2001:db8::1]/a", "http://[2001:DB8::1]:80/a"],
    "example.org/book": ["http://example.org/book/index.html", "http://example.org/book/"],
    "example.org": ["http://example.org", "http://example.org/", "http://example.org/?utm_campaign=x"],
}  # fmt: skip


@pytest.mark.parametrize("key", SAME)
def test_spellings_of_one_address_share_a_key(key: str) -> None:
    assert {dedup_key(clean(url) or "") for url in SAME[key]} == {key}


DIFFERENT = (
    ["https://e.org/a", "https://e.org/b", "https://e.org/a?page=2", "https://e.org/A", "https://m.e.org/a"],
    # parameters without a value, and names that only begin as a tracker's
    ["http://e.org/f?12", "http://e.org/f?13", "http://e.org/f?game=1", "http://e.org/f?game=2", "http://e.org/f?reflect=1"],
    # numbers of what is shown
    ["http://e.org/v?cid=4", "http://e.org/v?cid=5", "http://e.org/v?uid=4", "http://e.org/v?sid=4", "http://e.org/v?s=4"],
    # formulas in addresses, which courlan takes for rests of markup
    [r"http://e.org/q?tex=\frac{a}{b}", r"http://e.org/q?tex=\frac{c}{d}", "http://e.org/{a}", "http://e.org/<b>"],
    # an address in an address is not the address
    ["http://e.org/to?u=http://f.org/x", "http://f.org/x", "http://g.org/web/2020/http://f.org/x"],
    ["http://e.org:8080/a", "http://e.org/a", "http://e.org:80a/"],
)  # fmt: skip


@pytest.mark.parametrize("urls", DIFFERENT)
def test_different_pages_do_not(urls: list[str]) -> None:
    assert len({dedup_key(clean(url) or "") for url in urls}) == len(urls)


@pytest.mark.parametrize(
    "url",
    [
        "", "not a url", "mailto:a@b.org", "ftp://e.org/x", "http://", "http:///a", "http://[::1",
        "javascript:alert(1)", "data:text/html,x", "//e.org/a", "e.org/a", "http://ex ample.org/", "http://e..org/", "http://e.org:99999/",
        "http://-/", "http://e.org/\ud800", "http://e.org/" + "a" * MAX_URL_CHARACTERS,
    ],
)  # fmt: skip
def test_what_is_no_web_address(url: str) -> None:
    assert clean(url) is None


def test_a_long_address_costs_nothing() -> None:
    start = time.process_time()
    for url in ("http://e.org/" + "a=1&" * 25_000, "http://" + "a." * 50_000, "http://e.org/?" + "{" * 100_000):
        assert clean(url) is None
    assert time.process_time() - start < 1


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*"aB/.%?&=#:@;~ {}<[]\\é中", "..", "%2e", "%C3", "utm_x=1", "//", "s="]), max_size=20))
@example([".", "/"])
def test_cleaning_twice_is_cleaning_once(parts: list[str]) -> None:
    cleaned = clean("http://e.org/" + "".join(parts))
    assert cleaned is None or clean(cleaned) == cleaned


def test_domain_and_directories() -> None:
    url = "https://www.forum.example/questions/12/powers-of-two"
    assert domain(url) == "forum.example"
    assert directories(url) == ("questions", "12")
    assert directories("https://forum.example/about.html") == ()
    urls = ("http://wwwhere.org/", "http://www.www.org/", "http://WWW.e.org:81")
    assert [domain(clean(url) or "") for url in urls] == ["wwwhere.org", "www.org", "e.org:81"]
