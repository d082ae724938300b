"""Of one address the first page stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dsm_repro.corpus.dedup import duplicate_urls, write_url_keys
from dsm_repro.corpus.url import dedup_key

URLS = [
    "https://e.org/a", "https://e.org/b", "http://www.e.org/a/", "https://e.org/a?page=2", "https://e.org/b/index.html",
    "http://e.org/a", "https://f.org/", "http://f.org", "https://e.org/c", "https://e.org/seit\ud800e",
]  # fmt: skip


def shards_of(urls: list[str], cuts: list[int], folder: Path) -> list[Path]:
    parts = [urls[start:end] for start, end in zip([0, *cuts], [*cuts, len(urls)], strict=True)]
    places = [folder / str(number) for number in range(len(parts))]
    assert [write_url_keys(iter(part), place) for part, place in zip(parts, places, strict=True)] == list(
        map(len, parts)
    )
    return places


@pytest.mark.parametrize("cuts", [[], [3], [0, 1, 2, 5, 9, 10]])
@pytest.mark.parametrize("memory", [10**9, 150])
def test_first_page_of_an_address_stays(cuts: list[int], memory: int, tmp_path: Path) -> None:
    found = duplicate_urls(shards_of(URLS, cuts, tmp_path), memory)
    assert dict(zip(found.rows.tolist(), found.keepers.tolist(), strict=True)) == {2: 0, 4: 1, 5: 0, 7: 6}
    assert found.rows.tolist() == sorted(found.rows.tolist())


def test_many_addresses_as_a_dictionary_finds_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    urls = [f"http://e.org/{number}" for number in rng.integers(0, 3_000, 5_000)]
    first: dict[str, int] = {}
    expected = {row: first[key] for row, key in enumerate(map(dedup_key, urls)) if first.setdefault(key, row) != row}
    found = duplicate_urls(shards_of(urls, [900, 901, 4_000], tmp_path), 50_000)
    assert dict(zip(found.rows.tolist(), found.keepers.tolist(), strict=True)) == expected


def test_no_pages(tmp_path: Path) -> None:
    assert len(duplicate_urls([], 1).rows) == 0
    assert len(duplicate_urls(shards_of([], [], tmp_path), 1).rows) == 0
