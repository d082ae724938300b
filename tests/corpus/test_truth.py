"""Figures against hidden labels, by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsm_repro.corpus.truth import Label, check_decontamination, check_duplicates, check_rounds, read_truth


def label(url: str, quality: str | None = None, original: str = "", leak: bool = False) -> Label:
    return Label(quality is not None, quality, url.split("/")[2], original or url, leak)


@dataclass
class Made:
    """What the checks read of a round and a crawl."""

    number: int
    collected: np.ndarray
    at_full_volume: np.ndarray


class Pages:
    urls = tuple(f"http://{name}.example/{n}" for n, name in enumerate("aaaabb"))
    domains = tuple(f"{name}.example" for name in "aaaabb")
    tokens = (10, 10, 30, 10, 10, 10)


def test_rounds_by_hand() -> None:
    qualities = ["good", "good", "low", None, "good", None]
    labels = {url: label(url, quality) for url, quality in zip(Pages.urls, qualities, strict=True)}
    del labels[Pages.urls[5]]  # a page that the truth does not know is no mathematics
    first = np.array([1, 0, 0, 1, 0, 0], bool)
    whole = np.array([1, 0, 1, 1, 1, 0], bool)
    clean = [True, False, True, True, True, True]
    (found,) = check_rounds([Made(1, first, whole)], Pages, clean, labels, 0.5)  # type: ignore[arg-type, list-item]
    assert found["round"] == 1
    # the contaminated page is not there to be found
    assert found["maths"] == {
        "found": 2, "true": 3, "hits": 1, "precision": 0.5, "recall": 1 / 3, "token_precision": 0.5,
    }  # fmt: skip
    assert found["good_maths"]["recall"] == 0.5
    full = found["at_full_volume"]
    assert (full["maths"]["precision"], full["maths"]["token_precision"]) == (0.75, 50 / 60)
    assert (full["good_maths"]["precision"], full["good_maths"]["token_precision"]) == (0.5, 20 / 60)
    # truly 3 of 4 pages of a, 1 of 2 of b; collected 2 of 4, then 3 of 4
    assert found["domains"] == {"found": 0, "true": 1, "hits": 0, "precision": None, "recall": 0.0}
    assert full["domains"] == {"found": 1, "true": 1, "hits": 1, "precision": 1.0, "recall": 1.0}
    json.dumps(found, allow_nan=False)


def test_duplicate_pairs_follow_a_keeper_that_goes_itself() -> None:
    urls = [f"http://a.example/{n}" for n in range(5)]
    original = {1: 0, 2: 0, 4: 3}
    labels = {url: label(url, original=urls[original.get(n, n)]) for n, url in enumerate(urls)}
    # 1 was an address of 0, and 0 goes for 2: one group of three pairs. 4 is taken for another copy of 2.
    found = check_duplicates(urls, {1: 0, 0: 2, 4: 2}, labels)
    assert (found["found"], found["true"], found["hits"]) == (6, 4, 3)
    assert check_duplicates(urls, {}, labels)["precision"] is None


def test_decontamination_by_hand() -> None:
    urls = [f"http://a.example/{n}" for n in range(4)]
    labels = {urls[0]: label(urls[0], leak=True), urls[1]: label(urls[1], leak=True), urls[2]: label(urls[2])}
    assert check_decontamination(urls, {urls[0], urls[3]}, labels) == {
        "leaks": 2, "leaks_removed": 1, "others": 2, "others_removed": 1,
    }  # fmt: skip


def test_the_first_record_of_an_address_has_the_label(tmp_path: Path) -> None:
    rows = [
        {"url": "http://a.example/1?utm_source=x", "is_math": True, "quality": "low", "domain": "a.example"},
        {
            "url": "http://a.example/1",
            "is_math": False,
            "domain": "a.example",
            "duplicate_of": "http://a.example/2#top",
        },
        {
            "url": "http://a.example/3",
            "is_math": False,
            "domain": "a.example",
            "duplicate_of": "http://a.example/2#top",
        },
        {"url": "nonsense", "is_math": True, "domain": ""},
    ]
    path = tmp_path / "truth.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels = read_truth(path)
    assert labels["http://a.example/1"] == Label(True, "low", "a.example", "http://a.example/1", False)
    assert labels["http://a.example/3"].original == "http://a.example/2"
    assert len(labels) == 2
