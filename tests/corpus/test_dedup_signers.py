"""Both libraries estimate the similarity, and a band meets as often as it should."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from dsm_repro.config.corpus_schema import MinHashConfig
from dsm_repro.config.errors import ConfigError
from dsm_repro.corpus.dedup.keys import SortedKeys
from dsm_repro.corpus.dedup.shingles import ShingleBatch, Shingler
from dsm_repro.corpus.dedup.signatures import band_keys, write_signatures
from dsm_repro.corpus.dedup.signers import SIGNERS, sign

signers = pytest.mark.parametrize("signer", SIGNERS)


@pytest.fixture(autouse=True)
def needs_its_library(request: pytest.FixtureRequest) -> None:
    if "signer" in request.fixturenames and request.getfixturevalue("signer") == "rensa":
        pytest.importorskip("rensa")


def batch_of(sets: list[np.ndarray]) -> ShingleBatch:
    return ShingleBatch(np.concatenate(sets), np.cumsum([0, *map(len, sets)]))


def pairs_of(similarity: float, size: int, count: int) -> ShingleBatch:
    """``count`` pairs of sets with a union of ``size`` and this similarity, one after another."""
    rng = np.random.default_rng(1)
    shared = round(similarity * size)
    half = (size - shared) // 2
    sets = []
    for _ in range(count):
        union = rng.integers(0, 2**64, size, dtype=np.uint64)
        sets += [union[: shared + half], np.concatenate((union[:shared], union[shared + half :]))]
    return batch_of(sets)


@signers
@pytest.mark.parametrize("size", [20, 100, 700])
def test_share_of_equal_values_is_the_similarity(signer: str, size: int) -> None:
    signed = sign(pairs_of(0.7, size, 200), MinHashConfig(signer=signer))
    equal = (signed[0::2] == signed[1::2]).mean()
    # 200 pairs of 112 values, hardly dependent: standard error below 0.006
    assert equal == pytest.approx(0.7, abs=0.02)


@signers
@pytest.mark.parametrize("size", [60, 600])
def test_bands_propose_with_the_probability_of_the_formula(signer: str, size: int) -> None:
    for similarity in (0.5, 0.8, 0.9):
        keys = band_keys(sign(pairs_of(similarity, size, 400), MinHashConfig(signer=signer)), 14)
        met = (keys[:, 0::2] == keys[:, 1::2]).any(axis=0).mean()
        expected = 1 - (1 - similarity**8) ** 14
        assert met == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 400) ** 0.5 + 0.01)


@signers
def test_signature_depends_on_the_set_and_the_seed_alone(signer: str) -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 2**64, 150, dtype=np.uint64)
    again = np.concatenate((rng.permutation(values), values[:40]))
    other = rng.integers(0, 2**64, 90, dtype=np.uint64)
    config = MinHashConfig(signer=signer)
    signed = sign(batch_of([values, again, other]), config)
    assert signed.shape == (3, 112)
    assert signed.dtype == np.uint32
    assert np.array_equal(signed[0], signed[1])
    assert np.array_equal(sign(batch_of([other, values]), config), signed[[2, 0]])
    assert not np.array_equal(sign(batch_of([values]), MinHashConfig(signer=signer, seed=2))[0], signed[0])
    assert sign(batch_of([values]), MinHashConfig(signer=signer, bands=3, rows=5)).shape == (1, 15)


def test_datasketch_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a hundred thousand shingles must not make a table of all of them."""
    batch = pairs_of(0.5, 500, 2)
    whole = sign(batch, MinHashConfig())
    monkeypatch.setattr("dsm_repro.corpus.dedup.signers._AT_ONCE", 7)
    assert np.array_equal(sign(batch, MinHashConfig()), whole)


@signers
def test_files_do_not_depend_on_how_texts_are_signed_together(
    signer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    texts = [" ".join(f"w{number}" for number in rng.integers(0, 90, size)) for size in rng.integers(0, 40, 60)]
    config = MinHashConfig(signer=signer)
    assert write_signatures(iter(texts), config, tmp_path / "a") == 60
    monkeypatch.setattr("dsm_repro.corpus.dedup.signatures._TEXTS", 7)
    write_signatures(iter(texts), config, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["keys.npy", "rows.npy"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    expected = band_keys(sign(Shingler(5).batch(texts), config), 14)
    keys, rows = np.load(tmp_path / "a" / "keys.npy"), np.load(tmp_path / "a" / "rows.npy")
    assert np.array_equal(np.take_along_axis(expected, rows.astype(np.int64), axis=1), keys)
    assert (keys[:, 1:] >= keys[:, :-1]).all()


@signers
def test_a_shard_without_texts(signer: str, tmp_path: Path) -> None:
    assert write_signatures([], MinHashConfig(signer=signer), tmp_path) == 0
    assert len(SortedKeys([tmp_path])) == 0


def test_missing_rensa_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(ConfigError, match=r"signer=rensa.*pip install rensa"):
        sign(pairs_of(0.5, 10, 1), MinHashConfig(signer="rensa"))


def test_unknown_signer() -> None:
    with pytest.raises(ConfigError, match="signer=simhash: use one of datasketch, rensa"):
        sign(pairs_of(0.5, 10, 1), MinHashConfig(signer="simhash"))
