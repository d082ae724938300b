"""Shingles are the runs of tokens, as sets and in batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsm_repro.corpus.dedup import Shingler, jaccard
from dsm_repro.corpus.token_hashes import TokenHasher
from dsm_repro.corpus.tokens import tokenize

#: letters and digits of several scripts, signs, blanks, and what joins letters: backslash and apostrophes
ALPHABET = "abZ12\u0663+_ \n\x00\x1c\\\\''’éßİſ求ー\U0001d400\U0001d7d9\u0301\ud800"
TEXTS = st.lists(st.text(ALPHABET, max_size=30), max_size=8)


def runs(text: str, ngram: int) -> list[tuple[str, ...]]:
    """The runs of tokens, one after another; a shorter text is one run."""
    tokens = tokenize(text)
    if len(tokens) < ngram:
        return [tuple(tokens)]
    return [tuple(tokens[start : start + ngram]) for start in range(len(tokens) - ngram + 1)]


@settings(max_examples=150, deadline=None)
@given(texts=TEXTS, ngram=st.integers(1, 5))
def test_two_shingles_are_equal_exactly_when_their_tokens_are(texts: list[str], ngram: int) -> None:
    batch = Shingler(ngram).batch(texts)
    expected = [run for text in texts for run in runs(text, ngram)]
    assert batch.starts.tolist() == np.cumsum([0, *(len(runs(text, ngram)) for text in texts)]).tolist()
    assert len(batch.hashes) == len(expected)
    meaning: dict[int, tuple[str, ...]] = {}
    assert all(
        meaning.setdefault(number, run) == run for number, run in zip(batch.hashes.tolist(), expected, strict=True)
    )
    assert len(meaning) == len(set(expected))


@settings(max_examples=50, deadline=None)
@given(texts=TEXTS)
def test_a_set_is_its_batch_sorted_without_repetitions(texts: list[str]) -> None:
    shingler = Shingler(3)
    batch = shingler.batch(texts)
    for found, start, end in zip(shingler.sets(texts), batch.starts[:-1], batch.starts[1:], strict=True):
        assert np.array_equal(found, np.unique(batch.hashes[start:end]))


def test_texts_are_hashed_together_or_alone_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{'word ' * (number % 9)}{number}\\" * (number % 4) for number in range(200)]
    together = Shingler(5).batch(texts)
    monkeypatch.setattr("dsm_repro.corpus.dedup.shingles._CHARACTERS", 0)
    alone = Shingler(5).batch(texts)
    assert np.array_equal(together.hashes, alone.hashes)
    assert np.array_equal(together.starts, alone.starts)


def test_order_and_length_count() -> None:
    texts = ["a b c d e", "b a c d e", "a b c d", "a b c", "a", "", "a b c d e f"]
    assert len({tuple(found.tolist()) for found in Shingler(5).sets(texts)}) == len(texts)


@settings(max_examples=400, deadline=None)
@given(text=st.text(ALPHABET, max_size=40))
def test_hashes_are_those_of_the_tokens(text: str) -> None:
    """One for each token, and the same as that of the token by itself."""
    hasher = TokenHasher()
    tokens = tokenize(text)
    hashes, counts = hasher([text])
    assert counts.tolist() == [len(tokens)]
    alone, each = hasher(tokens)
    assert [number for number, token in zip(hashes.tolist(), tokens, strict=True) if len(tokenize(token)) == 1] == [
        number for number, count in zip(alone.tolist(), np.repeat(each, each), strict=True) if count == 1
    ]


def test_every_character_of_the_basic_plane() -> None:
    """Between letters, digits and signs each character is cut as ``tokenize`` cuts it."""
    hasher = TokenHasher()
    for frame in ("a{0}a1{0}1\\{0}'{0}", "\\a{0}b'{0}{0}"):
        text = " ".join(frame.format(chr(code)) for code in range(0x10000))
        tokens = tokenize(text)
        meaning: dict[int, str] = {}
        hashes = hasher([text])[0].tolist()
        assert len(hashes) == len(tokens)
        assert all(meaning.setdefault(number, token) == token for number, token in zip(hashes, tokens, strict=True))
        assert len(meaning) == len(set(tokens))


def test_tokens_of_many_lengths_do_not_collide() -> None:
    words = ["".join(chr(97 + (number >> shift & 15)) for shift in (0, 4, 8, 12)) for number in range(1 << 16)]
    repeated = ["a" * length for length in range(5, 3_000)]
    hashes, _ = TokenHasher()([" ".join([*words, *repeated, *map(str, range(50_000))])])
    assert len(np.unique(hashes)) == len({*words, *repeated}) + 50_000


def test_low_bits_are_spread() -> None:
    """datasketch permutes the low half alone."""
    hashes = Shingler(5).batch([" ".join(map(str, range(40_000)))]).hashes
    for shift in (0, 16, 32, 48):
        counts = np.bincount((hashes >> np.uint64(shift)).astype(np.int64) & 255, minlength=256)
        # chi-squared with 255 degrees of freedom: 360 has a probability below 2e-5
        assert ((counts - len(hashes) / 256) ** 2).sum() * 256 / len(hashes) < 360


def test_jaccard_by_hand() -> None:
    sets = [np.array(values, dtype=np.uint64) for values in ([1, 2, 3, 4], [3, 4, 5], [7], [1, 2, 3, 4])]
    assert jaccard(sets[0], sets[1]) == 2 / 5
    assert jaccard(sets[0], sets[2]) == 0
    assert jaccard(sets[0], sets[3]) == 1


def test_similarity_of_an_edit() -> None:
    """One word of a hundred distinct ones changed: 5 of 96 runs differ on each side."""
    words = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(100)]
    changed = [*words[:50], "other", *words[51:]]
    first, second = Shingler(5).sets([" ".join(words), " ".join(changed)])
    assert jaccard(first, second) == 91 / 101
