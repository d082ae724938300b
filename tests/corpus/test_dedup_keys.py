"""Equal keys meet, whatever the cut into shards and however little memory there is."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from dsm_repro.config.errors import DataError
from dsm_repro.corpus.dedup.keys import SortedKeys, write_keys
from dsm_repro.corpus.dedup.spill import Spill


def written(keys: np.ndarray, cuts: list[int], folder: Path) -> list[Path]:
    """One section of keys as shards cut at these rows."""
    places = []
    for number, part in enumerate(np.split(keys, cuts)):
        places.append(folder / str(number))
        write_keys(part.reshape(1, -1), places[-1])
    return places


def by_brute_force(keys: np.ndarray, excluded: np.ndarray) -> list[list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(~excluded).tolist():
        found[int(keys[row])].append(row)
    return [rows for key, rows in sorted(found.items()) if len(rows) > 1]


@pytest.mark.parametrize("cuts", [[], [100], [0, 1, 40, 40, 299]])
@pytest.mark.parametrize("memory", [10**9, 2_000, 64])
def test_buckets_are_those_of_brute_force(cuts: list[int], memory: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    keys = rng.choice(rng.integers(0, 2**64, 90, dtype=np.uint64), 300)
    keys[[3, 200]] = 0
    keys[[5, 299]] = 2**64 - 1
    keys[50:120] = 2**63  # a bucket larger than a block of the smaller memories
    excluded = rng.random(300) < 0.2
    blocks = list(SortedKeys(written(keys, cuts, tmp_path)).buckets(0, memory, excluded))
    found = [
        block.rows[start:end].tolist()
        for block in blocks
        for start, end in zip(block.starts[:-1], block.starts[1:], strict=True)
    ]
    assert found == by_brute_force(keys, excluded)
    assert (len(blocks) > 1) == (memory < 10**9)


def test_shard_of_another_setting_or_without_files(tmp_path: Path) -> None:
    write_keys(np.zeros((14, 3), dtype=np.uint64), tmp_path / "a")
    write_keys(np.zeros((13, 3), dtype=np.uint64), tmp_path / "b")
    with pytest.raises(DataError, match=r"b/keys.npy: 13 sections.*14"):
        SortedKeys([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(DataError, match=r"c/keys.npy"):
        SortedKeys([tmp_path / "a", tmp_path / "c"])
    (tmp_path / "a" / "keys.npy").write_bytes(b"half")
    with pytest.raises(DataError, match=r"a/keys.npy.*Delete"):
        SortedKeys([tmp_path / "a"])


@pytest.mark.parametrize("memory", [1, 10**9])
def test_spill_is_a_sorted_set(memory: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 2**64, 20_000, dtype=np.uint64)
    numbers[rng.integers(0, 20_000, 9_000)] = numbers[0]
    numbers[:2_500] = np.arange(2_500)  # a run of its own below all others
    spill = Spill(tmp_path, memory)
    for part in np.split(numbers, [1, 700, 700, 9_000]):
        spill.add(part)
    blocks = list(spill.blocks())
    assert np.array_equal(np.concatenate(blocks), np.unique(numbers))
    assert (len(blocks) > 10) == (memory == 1)
    assert max(map(len, blocks)) <= 1_000 or memory > 1


def test_an_empty_spill(tmp_path: Path) -> None:
    assert list(Spill(tmp_path, 1).blocks()) == []
