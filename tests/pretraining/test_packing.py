"""Packing loses and repeats nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dsm_repro.pretraining.packing import pack

EOS = 1


@pytest.mark.parametrize("length", [2, 7, 64, 5_000])
def test_every_token_once_and_in_order(length: int) -> None:
    rng = random.Random(length)
    documents = [[rng.randrange(2, 300) for _ in range(rng.randrange(0, 40))] for _ in range(60)]
    rows, rest = pack(documents, EOS, length)
    assert rows.shape[1] == length
    assert len(rest) < length
    expected = [token for document in documents for token in (*document, EOS)]
    assert np.concatenate([rows.reshape(-1), rest]).tolist() == expected


def test_nothing_gives_no_rows() -> None:
    rows, rest = pack([], EOS, 8)
    assert rows.shape == (0, 8)
    assert rest.tolist() == []
