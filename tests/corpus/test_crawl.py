"""The parquet shards of a crawl: columns by row number, texts by row, the same bytes for the same pages."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dsm_repro.corpus.crawl import ROW_GROUP, Crawl, read_column, read_pages, write_pages
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.shards.step import Shard
from dsm_repro.corpus.steps import PAGES, KeepPages, kept_part


def pages(start: int, count: int) -> list[Page]:
    return [
        Page(f"https://a.example/{n}", "a.example", f"text {n} ∑\n", n % 7, f"f@{n}", "en", "forum")
        for n in range(start, start + count)
    ]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    sizes = (ROW_GROUP + 3, 0, 2 * ROW_GROUP, 5)
    start = 0
    made = []
    for number, size in enumerate(sizes):
        folder = tmp_path / f"{number:05d}"
        folder.mkdir()
        write_pages(pages(start, size), folder / PAGES)
        made.append(folder / PAGES)
        start += size
    return made


def test_columns_and_texts_are_those_written(files: list[Path]) -> None:
    crawl = Crawl(files)
    expected = pages(0, len(crawl))
    assert len(crawl) == 3 * ROW_GROUP + 8
    assert crawl.urls == [page.url for page in expected]
    assert crawl.tokens == [page.tokens for page in expected]
    rows = random.Random(0).choices(range(len(crawl)), k=300)
    assert crawl.texts(rows) == [expected[row].text for row in rows]
    assert [page for path in files for page in read_pages(path)] == expected
    assert [text for path in files for text in read_column(path, "text")] == [page.text for page in expected]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (250, 260), (ROW_GROUP, 2 * ROW_GROUP), (300, 300), (511, 512)])
def test_a_part_of_a_shard(files: list[Path], start: int, stop: int) -> None:
    expected = list(read_pages(files[2]))[start:stop]
    assert list(read_pages(files[2], start, stop)) == expected


def test_parts_cover_a_range_across_files(files: list[Path]) -> None:
    crawl = Crawl(files)
    start, stop = 100, len(crawl) - 2
    rows = [crawl.starts[file] + row for file, part in crawl.parts(start, stop) for row in part]
    assert rows == list(range(start, stop))


def test_the_same_pages_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pages(iter(pages(0, 700)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_keeping_pages_leaves_out_the_rows_that_go(files: list[Path], tmp_path: Path) -> None:
    import numpy as np

    crawl = Crawl(files)
    gone = {0, 5, ROW_GROUP + 2, ROW_GROUP + 3, len(crawl) - 1}
    folder = tmp_path / "gone"
    folder.mkdir()
    for number, path in enumerate(files):
        rows = crawl.rows_of(number)
        np.save(folder / f"{path.parent.name}.npy", [row - rows.start for row in sorted(gone) if row in rows])
    shard = Shard(0, tuple(kept_part(crawl.files[file], part) for file, part in crawl.parts(3, len(crawl))))
    out = tmp_path / "out"
    out.mkdir()
    counts = KeepPages(str(folder)).run(shard, out)
    expected = [page for row, page in enumerate(pages(0, len(crawl))) if row >= 3 and row not in gone]
    assert list(read_pages(out / PAGES)) == expected and counts == {"pages": len(expected)}
