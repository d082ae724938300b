"""Where a page comes from, by its host, its software's marks, its path, in this order."""

from __future__ import annotations

import pytest

from dsm_repro.corpus.source_type import SOURCE_TYPES, source_type

BY_ADDRESS = {
    "https://math.stackexchange.com/questions/12/x": "question_answer",
    "https://mathoverflow.net/a/3": "question_answer",
    "https://askmaths.example/questions/12/x": "question_answer",
    "https://en.wikipedia.org/wiki/Group": "encyclopedia",
    "https://mathworld.wolfram.com/Group.html": "encyclopedia",
    "https://arxiv.org/abs/2402.03300": "paper",
    "https://github.com/a/b/blob/main/x.py": "code",
    "https://docs.scipy.org/doc/scipy/tutorial": "documentation",
    "https://x.readthedocs.io/en/latest/": "documentation",
    "https://ocw.mit.edu/a": "course",
    "https://uni.example/courses/algebra/notes.html": "course",
    "https://numberforum.example/viewtopic.php?t=3": "forum",
    "https://community.example/x": "forum",
    "https://someone.wordpress.com/2020/01/x": "blog",
    "https://someone.example/blog/x": "blog",
    "https://shop.example/x": "shop",
    "https://valleynews.example/news/x": "news",
    "https://unknown.example/x": "other",
    # parts of other names
    "https://notgithub.com/x": "other",
    "https://github.com.example/x": "other",
    "https://shopping.example/producer/x": "other",
}
BY_MARKUP = {
    '<meta name="generator" content="MediaWiki 1.41">': "encyclopedia",
    '<meta name="Generator" content="Discourse 3.1">': "forum",
    '<meta content="Docutils 0.19" name="generator"><script src="_static/doctools.js"></script>': "documentation",
    '<html itemscope itemtype="https://schema.org/QAPage">': "question_answer",
    '<meta property="og:type" content="product">': "shop",
    '<meta name="citation_doi" content="10.1/1">': "paper",
    '<script type="application/ld+json">{"@type": "NewsArticle"}</script>': "news",
    "<meta name=x><p>We wrote our own generator, and no discourse on MediaWiki.</p>": "other",
}  # fmt: skip


@pytest.mark.parametrize("url", BY_ADDRESS)
def test_by_address(url: str) -> None:
    assert source_type(url, None) == BY_ADDRESS[url]


@pytest.mark.parametrize("html", BY_MARKUP)
def test_by_markup(html: str) -> None:
    assert source_type("https://unknown.example/x", html) == BY_MARKUP[html]


def test_host_goes_before_markup_and_markup_before_path() -> None:
    wiki = '<meta name="generator" content="MediaWiki 1.41">'
    assert source_type("https://github.com/wiki/x", wiki) == "code"
    assert source_type("https://unknown.example/blog/x", wiki) == "encyclopedia"


def test_every_type_is_named() -> None:
    assert {*BY_ADDRESS.values(), *BY_MARKUP.values()} == set(SOURCE_TYPES)
