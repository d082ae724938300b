"""Packing loses and repeats nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dsm_repro.pretraining.packing import BLOCK, pack
from dsm_repro.pretraining.rows import ROWS_FILE, mapped_rows, rows_note, write_rows

EOS = 1


@pytest.mark.parametrize("length", [2, 7, 64, 5_000])
def test_every_token_once_and_in_order(length: int) -> None:
    rng = random.Random(length)
    documents = [[rng.randrange(2, 300) for _ in range(rng.randrange(0, 40))] for _ in range(60)]
    expected = [token for document in documents for token in (*document, EOS)]
    # all at once, and in blocks of a few documents
    for block in (BLOCK, 100, 1):
        blocks = list(pack(documents, EOS, length, block))
        assert len(blocks) == (len(expected) >= length) if block == BLOCK else len(blocks) > 2 or length > 64
        assert all(rows.shape[1] == length and rows.dtype == np.int32 and len(rows) for rows in blocks)
        found = [token for rows in blocks for token in rows.reshape(-1).tolist()]
        assert found == expected[: len(found)] and len(expected) - len(found) < length


def test_nothing_gives_no_rows() -> None:
    assert list(pack([], EOS, 8)) == []
    assert list(pack([[2, 3]], EOS, 8)) == []


def test_rows_of_several_sources_lie_in_one_file_which_is_written_once(tmp_path: Path) -> None:
    first, second = np.arange(12, dtype=np.int32).reshape(4, 3), np.arange(6, dtype=np.int32).reshape(2, 3) + 100
    counts = write_rows(tmp_path, {"one": [first[:3], first[3:]], "none": [], "other": iter([second])})
    assert counts == {"one": 4, "none": 0, "other": 2}
    rows = mapped_rows(tmp_path, 6, 3)
    assert np.array_equal(rows, np.concatenate([first, second]))

    def again() -> Iterator[np.ndarray]:
        raise AssertionError("read a second time")
        yield

    assert list(write_rows(tmp_path, {"one": again(), "none": again(), "other": again()}).items()) == [*counts.items()]


def test_a_file_that_was_not_finished_is_written_anew(tmp_path: Path) -> None:
    def killed() -> Iterator[np.ndarray]:
        yield np.ones((5, 2), dtype=np.int32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path, {"one": killed()})
    assert write_rows(tmp_path, {"one": [np.zeros((1, 2), dtype=np.int32)]}) == {"one": 1}
    assert mapped_rows(tmp_path, 1, 2).tolist() == [[0, 0]]
    assert (tmp_path / ROWS_FILE).stat().st_size == 8


def test_the_plan_says_what_the_file_of_a_large_run_takes() -> None:
    assert rows_note(500e9) == ("token ids take 2,000 GB of the store's disk while it runs",)
    assert rows_note(1e6) == ()
