"""Folders of saved pages: the path gives the address."""

from __future__ import annotations

from pathlib import Path

import pytest
from reader_files import LIMIT, in_shards, read

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.pages import RawPage
from dsm_repro.corpus.readers import listing, local_inputs
from dsm_repro.corpus.readers.html import html_url


def save(folder: Path, address: str, text: str = "<p>one</p>") -> Path:
    page = folder / address
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)
    return page


def test_folder_of_a_crawler(tmp_path: Path) -> None:
    page = save(tmp_path, "crawl/maths.example/notes/one.html")
    save(tmp_path, "crawl/maths.example/notes/style.css", "p {}")
    assert local_inputs(CorpusConfig(reader="html", paths=[str(tmp_path / "crawl")])) == (page,)
    ((found,),) = in_shards("html", [tmp_path / "crawl"], 1_000)
    assert found == RawPage("http://maths.example/notes/one.html", b"<p>one</p>", True, "one.html")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("/data/v1.0/maths.example/a/b.html", "http://maths.example/a/b.html"),
        ("/data/.hidden/pages/b.html", "http://pages/b.html"),
        ("/b.html", "http://b.html"),
        ("s3://bucket/crawl/maths.example/b.html", "http://maths.example/b.html"),
        ("zip://maths.example/b.html::s3://bucket/v1.0.zip", "http://maths.example/b.html"),
        ("https://maths.example/a/b.html?page=2", "https://maths.example/a/b.html?page=2"),
    ],
)
def test_address_of_a_path(address: str, url: str) -> None:
    assert html_url(address) == url


def test_empty_and_large_pages(tmp_path: Path) -> None:
    empty, large = save(tmp_path, "a.html", ""), save(tmp_path, "b.html", "x" * (LIMIT + 1))
    assert read("html", empty, large) == ([], ["empty_file", "too_large"])


def test_address_is_part_of_the_identity_and_the_folder_is_not(tmp_path: Path) -> None:
    for place in ("here", "there"):
        save(tmp_path, f"{place}/maths.example/a/index.html")
        save(tmp_path, f"{place}/other.example/a/index.html")
    said = [listing(CorpusConfig(reader="html", paths=[str(tmp_path / place)])) for place in ("here", "there")]
    names = [f"{site}/a/index.html" for site in ("maths.example", "other.example")]
    assert said[0] == said[1] == [{"name": name, "url": f"http://{name}"} for name in names]
    (tmp_path / "there" / "maths.example").rename(tmp_path / "there" / "mathe.example")
    assert listing(CorpusConfig(reader="html", paths=[str(tmp_path / "there")])) != said[0]
