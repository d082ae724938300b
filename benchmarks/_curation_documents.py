"""Generated documents by the million: words drawn by Zipf's law, some formulas, some near-copies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.corpus.crawl import write_pages
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.tokens import count_tokens

if TYPE_CHECKING:
    import numpy as np

PER_FILE = 10_000
#: one page in so many copies the one before it, but for its last word
COPY_EVERY = 20
PAGES_OF_DOMAIN = 200
_VOCABULARY = 30_000
_SYLLABLES = [c + v for c in "bcdfghklmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "er", "on")]


@dataclass(frozen=True)
class Document:
    url: str
    domain: str
    text: str


def documents(number: int, words: int) -> Iterator[Document]:
    """The ``PER_FILE`` documents of one file; a function of its number and of the words in a document."""
    import numpy as np

    vocabulary = _vocabulary()
    rng = np.random.default_rng([number, words])
    weights = 1.0 / (np.arange(_VOCABULARY) + 5.0)
    drawn = vocabulary[rng.choice(_VOCABULARY, size=(PER_FILE, words), p=weights / weights.sum())]
    numbers = rng.integers(2, 10_000, size=(PER_FILE, 2))
    before = ""
    for index in range(PER_FILE):
        place = number * PER_FILE + index
        domain = f"site{place // PAGES_OF_DOMAIN}.example"
        if index % COPY_EVERY == COPY_EVERY - 1:
            text = before.rsplit(" ", 1)[0] + " copied"
        else:
            first, second = numbers[index]
            text = f"{' '.join(drawn[index])} so $x^{{2}} + {first} = {second}$ and x = {second - first}"
        before = text
        # scattered, so that sorting addresses is work
        yield Document(f"https://{domain}/part{place % 7}/{place * 2_654_435_761 % 2**32:x}", domain, text)


def write_texts(count: int, words: int, out: Path) -> list[Path]:
    """``count`` documents as pages in parquet files. What is there already is kept."""
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(-(-count // PER_FILE)):
        path = out / f"{number:05d}" / "pages.parquet"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(".part")
            write_pages(
                (
                    Page(item.url, item.domain, item.text, count_tokens(item.text), item.url, "en")
                    for item in documents(number, words)
                ),
                part,
            )
            part.rename(path)
        files.append(path)
    return files


def write_html(count: int, words: int, out: Path) -> list[Path]:
    """``count`` documents as HTML pages in JSON-lines files. What is there already is kept."""
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(-(-count // PER_FILE)):
        path = out / f"{number:05d}.jsonl"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("w", encoding="utf-8") as file:
                for item in documents(number, words):
                    file.write(json.dumps({"url": item.url, "html": html(item.text)}) + "\n")
            part.rename(path)
        files.append(path)
    return files


def html(text: str) -> str:
    """A page with navigation and footer around paragraphs of 40 words."""
    words = text.split(" ")
    paragraphs = "".join(f"<p>{' '.join(words[at : at + 40])}</p>" for at in range(0, len(words), 40))
    return (
        "<!DOCTYPE html><html><head><title>Page</title></head><body><nav><ul><li><a href='/'>Home</a></li>"
        "<li><a href='/about'>About</a></li></ul></nav><main><article><h1>Page</h1>"
        f"{paragraphs}</article></main><footer>All rights reserved</footer></body></html>"
    )


@cache
def _vocabulary() -> np.ndarray:
    import numpy as np

    rng = np.random.default_rng(0)
    syllables = np.array(_SYLLABLES)
    return np.array(["".join(rng.choice(syllables, size=rng.integers(1, 5))) for _ in range(_VOCABULARY)])
