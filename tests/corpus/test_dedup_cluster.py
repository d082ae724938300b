"""Groups are what similar pages connect, however the crawl is cut and however large a bucket is."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from dsm_repro.config.corpus_schema import MinHashConfig, WebConfig
from dsm_repro.corpus.dedup import Duplicates, Shingler, cluster, jaccard, write_signatures
from dsm_repro.corpus.dedup.keys import write_keys
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.web_plan import plan_pages

CONFIG = MinHashConfig()
WORDS = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(26 * 26)]
PLENTY = 10**9


class Texts:
    """Texts by row; remembers what it was asked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.asked: list[int] = []

    def __call__(self, rows: Sequence[int]) -> list[str]:
        self.asked += rows
        return [self.texts[row] for row in rows]


def found(
    texts: Sequence[str],
    folder: Path,
    config: MinHashConfig = CONFIG,
    *,
    cuts: Sequence[int] = (),
    memory: int = PLENTY,
    priority: Sequence[int] | None = None,
    excluded: Sequence[int] = (),
) -> Duplicates:
    """Sign in shards cut at these rows, then cluster."""
    bounds = list(zip([0, *cuts], [*cuts, len(texts)], strict=True))
    shards = [folder / f"{len(cuts)}-{number}" for number in range(len(bounds))]
    for (start, end), shard in zip(bounds, shards, strict=True):
        write_signatures(texts[start:end], config, shard)
    gone = np.zeros(len(texts), dtype=bool)
    gone[list(excluded)] = True
    return cluster(shards, Texts(texts), priority or [0] * len(texts), config, memory, folder / "scratch", gone)


def in_one_bucket(texts: Sequence[str], folder: Path, bands: int = 1) -> Duplicates:
    """Cluster texts that all share the bucket of every band."""
    write_keys(np.full((bands, len(texts)), 7, dtype=np.uint64), folder / "one")
    return cluster([folder / "one"], Texts(texts), [0] * len(texts), CONFIG, PLENTY, folder / "scratch")


def keeper_of(result: Duplicates) -> dict[int, int]:
    return dict(zip(result.rows.tolist(), result.keepers.tolist(), strict=True))


def assert_same(first: Duplicates, second: Duplicates) -> None:
    assert all(np.array_equal(one, other) for one, other in zip(astuple(first), astuple(second), strict=True))


def passage(rng: random.Random, words: int = 200) -> list[str]:
    return rng.choices(WORDS, k=words)


def edited(words: list[str], changes: int, rng: random.Random) -> str:
    changed = list(words)
    for position in rng.sample(range(len(words)), changes):
        changed[position] = "other"
    return " ".join(changed)


def copies(seed: int) -> list[str]:
    """Originals of 200 words, each with copies in which some words have changed."""
    rng = random.Random(seed)
    texts = []
    for _ in range(12):
        words = passage(rng)
        texts += [edited(words, changes, rng) for changes in (0, 0, 1, 2, 12)]
    rng.shuffle(texts)
    return texts


def mixture() -> list[str]:
    """Copies, and 90 pages of boilerplate: most to the letter, some with a date of their own."""
    rng = random.Random(8)
    notice = passage(rng, 150)
    texts = copies(1) + [" ".join(notice)] * 60 + [f"{' '.join(notice)} {number}" for number in range(30)]
    rng.shuffle(texts)
    return texts


def by_brute_force(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Pairs of one component of the graph of all similar pairs."""
    sets = list(Shingler(CONFIG.ngram).sets(texts))
    label = list(range(len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        if jaccard(sets[i], sets[j]) >= CONFIG.jaccard:
            label = [label[i] if one == label[j] else one for one in label]
    return {(i, j) for i, j in combinations(range(len(texts)), 2) if label[i] == label[j]}


def together(result: Duplicates, count: int) -> set[tuple[int, int]]:
    keeper = keeper_of(result)
    label = [keeper.get(row, row) for row in range(count)]
    return {(i, j) for i, j in combinations(range(count), 2) if label[i] == label[j]}


@pytest.mark.parametrize("signer", ["datasketch", "rensa"])
def test_groups_are_those_of_brute_force(signer: str, tmp_path: Path) -> None:
    if signer == "rensa":
        pytest.importorskip("rensa")
    texts = mixture()
    result = found(texts, tmp_path, MinHashConfig(signer=signer))
    assert together(result, len(texts)) == by_brute_force(texts)
    assert result.groups == 13
    assert result.proposed >= result.verified >= len(result.rows)
    assert result.unmatched == 0


@pytest.mark.parametrize(("cuts", "memory"), [((1, 75, 75, 149), PLENTY), ((), 3_000), ((10, 80), 3_000)])
def test_shards_and_memory_change_nothing(cuts: tuple[int, ...], memory: int, tmp_path: Path) -> None:
    texts = mixture()
    priority = [random.Random(row).randrange(5) for row in range(len(texts))]
    whole = found(texts, tmp_path / "a", priority=priority, excluded=[3, 70, 71])
    assert_same(whole, found(texts, tmp_path / "b", cuts=cuts, memory=memory, priority=priority, excluded=[3, 70, 71]))


def test_order_of_bands_changes_nothing(tmp_path: Path) -> None:
    texts = mixture()
    whole = found(texts, tmp_path)
    (shard,) = (tmp_path / "0-0",)
    for name in ("keys.npy", "rows.npy"):
        np.save(shard / name, np.load(shard / name)[::-1])
    assert_same(whole, cluster([shard], Texts(texts), [0] * len(texts), CONFIG, PLENTY, tmp_path / "scratch"))


def test_different_equations_are_not_merged(tmp_path: Path) -> None:
    """The usual normalisation, without signs and with one number for all, makes one string of these two."""
    page = "Solve the equation. {} Then check the result by putting it in. "
    texts = [" ".join(page.format(f"{a}*x + {b} = {a * x + b}") for a in range(2, 9)) for x, b in ((3, 4), (5, 11))]
    assert keeper_of(found(texts, tmp_path)) == {}
    same_keys = in_one_bucket(texts, tmp_path)
    assert (same_keys.proposed, same_keys.verified) == (1, 0)


def test_highest_priority_stays_and_the_earliest_among_equals(tmp_path: Path) -> None:
    text = " ".join(WORDS[:200])
    assert keeper_of(found([text] * 3, tmp_path / "a", priority=[1, 2, 2])) == {0: 1, 2: 1}
    assert keeper_of(found([text] * 2, tmp_path / "b", priority=[1, 1])) == {1: 0}


def test_a_chain_is_one_group(tmp_path: Path) -> None:
    """A~B~C with A≁C: windows of 100 of 116 words share 88 of 104 shingles with the next, 80 of 112 with the last."""
    texts = [" ".join(WORDS[start : start + 100]) for start in (0, 8, 16)]
    result = in_one_bucket(texts, tmp_path)
    assert keeper_of(result) == {1: 0, 2: 0}
    assert result.jaccard.tolist() == [88 / 104, 80 / 112]
    assert (result.proposed, result.verified, result.groups) == (3, 2, 1)
    assert keeper_of(in_one_bucket([texts[0], texts[2]], tmp_path)) == {}


def test_short_and_empty_texts(tmp_path: Path) -> None:
    assert keeper_of(found(["", "", "a b", "a c", "a b", "..."], tmp_path)) == {1: 0, 4: 2}


def test_excluded_rows_take_no_part(tmp_path: Path) -> None:
    text = " ".join(WORDS[:200])
    texts = [text, text, "something else", text]
    assert keeper_of(found(texts, tmp_path / "a", excluded=[0], priority=[9, 1, 1, 1])) == {3: 1}
    alone = found(texts, tmp_path / "b", excluded=[0, 1])
    assert keeper_of(alone) == {}
    assert alone.proposed == 0


def test_each_text_is_fetched_once_and_only_where_a_bucket_is_shared(tmp_path: Path) -> None:
    texts = Texts([*mixture(), "nothing like it at all, not even close to anything"])
    write_signatures(texts.texts, CONFIG, tmp_path / "bands")
    cluster([tmp_path / "bands"], texts, [0] * len(texts.texts), CONFIG, PLENTY, tmp_path / "scratch")
    assert texts.asked == sorted(set(texts.asked))
    assert len(texts.texts) - 1 not in texts.asked
    assert list((tmp_path / "scratch").iterdir()) == []


def test_boilerplate_on_many_addresses_costs_no_square(tmp_path: Path) -> None:
    """100,000 pages in the same bucket of each band: one text, some of it dated, and another one among it."""
    rng = random.Random(9)
    notice, other = " ".join(passage(rng, 40)), " ".join(passage(rng, 12))
    texts = [notice] * 100_000
    texts[500:100_000:1000] = [f"{notice} {day}" for day in range(100)]
    texts[50_000], texts[90_001] = other, other
    result = in_one_bucket(texts, tmp_path, bands=14)
    assert result.groups == 2
    assert keeper_of(result) == {row: 0 for row in range(1, 100_000) if row not in (50_000, 90_001)} | {90_001: 50_000}
    assert result.proposed < 101_000
    assert result.unmatched == 0


def test_what_a_large_bucket_compares(tmp_path: Path) -> None:
    """Pages similar to no other become representatives until there are 32; those after them are not compared."""
    rng = random.Random(10)
    strangers = [" ".join(passage(rng, 60)) for _ in range(40)]
    result = in_one_bucket(strangers, tmp_path / "a")
    assert result.proposed == sum(40 - leader for leader in range(1, 33))
    assert result.unmatched == 8
    # of 32 pages all pairs are compared
    assert in_one_bucket(strangers[:32], tmp_path / "b").proposed == 32 * 31 // 2
    # the copy of a representative is found; a pair of which neither page is one is not, unless their shingles are equal
    near = [f"{strangers[row]} more" for row in (5, 36)]
    assert keeper_of(in_one_bucket([*strangers, *near], tmp_path / "c")) == {40: 5}
    assert keeper_of(in_one_bucket([*strangers, strangers[36]], tmp_path / "d")) == {40: 36}


def test_what_a_killed_run_left_is_neither_read_nor_kept(tmp_path: Path) -> None:
    texts = mixture()
    whole = found(texts, tmp_path)
    left = tmp_path / "scratch" / "near_duplicates"
    left.mkdir()
    for name in ("run-00000.npy", "large.bin", "shingles.bin"):
        (left / name).write_bytes(b"half of something")
    assert_same(whole, found(texts, tmp_path))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("shards", [0, 1])
def test_no_pages(shards: int, tmp_path: Path) -> None:
    write_signatures([], CONFIG, tmp_path / "bands")
    result = cluster([tmp_path / "bands"] * shards, Texts([]), [], CONFIG, PLENTY, tmp_path / "scratch")
    assert keeper_of(result) == {}


def test_columns_of_another_length(tmp_path: Path) -> None:
    write_signatures(["a", "b"], CONFIG, tmp_path / "bands")
    with pytest.raises(ValueError, match="priority has 1 rows, the signatures have 2"):
        cluster([tmp_path / "bands"], Texts(["a", "b"]), [0], CONFIG, PLENTY, tmp_path / "scratch")


@pytest.mark.parametrize("signer", ["datasketch", "rensa"])
def test_near_duplicates_of_the_miniature_web(signer: str, tmp_path: Path) -> None:
    """Copies made with a similarity of at least 0.87 (``web_plan.NEAR_JACCARD``), by the truth."""
    if signer == "rensa":
        pytest.importorskip("rensa")
    config = WebConfig(pages=800, near_duplicate_share=0.2, exact_duplicate_share=0.05)
    pages = plan_pages(config, problems("train", 3_000, 1_000_003), problems("test", 40, 0))
    pages = [page for page in pages if page.blocks and page.defect is None]
    original = defaultdict(list)
    for row, page in enumerate(pages):
        original[page.duplicate_of or page.url].append(row)
    true = {pair for rows in original.values() for pair in combinations(rows, 2)}
    assert Counter(page.duplicate for page in pages)["near"] > 150
    texts = [page.main_text for page in pages]
    predicted = together(found(texts, tmp_path, MinHashConfig(signer=signer)), len(pages))
    assert len(predicted & true) >= 0.98 * len(true)
    assert len(predicted & true) >= 0.98 * len(predicted)
