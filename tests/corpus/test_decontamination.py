"""Exact 10-grams, short texts as a whole, evidence for each hit, and the array scan against the plain rule."""

from __future__ import annotations

import json
import pickle
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsm_repro.config.corpus_schema import DecontaminationConfig
from dsm_repro.config.errors import DataError
from dsm_repro.corpus.decontamination import BenchmarkIndex, Evidence, benchmark_state, with_frequencies
from dsm_repro.corpus.decontamination.scan import Scanner
from dsm_repro.corpus.token_hashes import TokenHasher
from dsm_repro.corpus.tokens import grams
from dsm_repro.reasoning.benchmarks import BenchmarkText


def question(name: str, text: str, benchmark: str = "made/test") -> BenchmarkText:
    return BenchmarkText(benchmark, name, "question", text)


LONG = question("long", "A farmer keeps 17 sheep and 5 goats on a hill near the old mill. How many animals is that?")
SHORT = question("short", "Find the gcd of 12 and 18.")
TINY = question("tiny", "2+")
LEMMA = "the sum of the first n natural numbers is n (n+1) / 2"
IDENTITY = question("identity", f"Knowing that {LEMMA}, how many handshakes do 31 guests exchange?")


def index(*texts: BenchmarkText, ngram: int = 10, min_ngram: int = 3) -> BenchmarkIndex:
    return BenchmarkIndex.build(texts, DecontaminationConfig(ngram=ngram, min_ngram=min_ngram))


def rows(checked: BenchmarkIndex, pages: Sequence[str], domains: Sequence[str]) -> list[dict]:
    found = [
        {**asdict(hit), "row": row}
        for row, text in enumerate(pages)
        for hit in checked.search(f"http://{domains[row]}/{row}", text)
    ]
    # as they come back from a shard's file
    return with_frequencies(json.loads(json.dumps(found)), domains)


def test_ten_shared_grams_are_a_hit_and_nine_are_not() -> None:
    (found,) = index(LONG).search("u", "He wrote: keeps 17 sheep, and 5 goats on a hill near (sic).")
    assert found == Evidence(
        url="u",
        benchmark="made/test",
        item="long",
        part="question",
        ngram="keeps 17 sheep and 5 goats on a hill near",
        offset=2,
        grams=10,
        # of the text's 20 grams, 11 windows of ten
        coverage=round(1 / 11, 4),
        context="He wrote: «keeps 17 sheep, and 5 goats on a hill near» (sic).",
        passages=("keeps 17 sheep and 5 goats on a hill near",),
    )
    assert index(LONG).search("u", "He wrote: keeps 17 sheep, and 5 goats on a hill by the sea.") == []


def test_another_number_is_another_text() -> None:
    assert index(LONG).search("u", LONG.text.replace("17", "19").replace("old", "new")) == []


def test_short_question_must_occur_as_a_whole() -> None:
    assert [hit.ngram for hit in index(SHORT).search("u", "Today: find the GCD of $12$ and $18$, quickly.")] == [
        "find the gcd of 12 and 18"
    ]
    assert index(SHORT).search("u", "Find the gcd of 12 and 180.") == []
    assert index(SHORT).search("u", "the gcd of 12 and 18") == []


def test_short_solution_is_not_looked_for_and_a_long_one_is() -> None:
    short = BenchmarkText("made/test", "s", "solution", "12 / 4 = 3")
    long = BenchmarkText("made/test", "l", "solution", "Each of the 4 children gets 12 / 4 = 3 apples in the end.")
    checked = index(short, long)
    assert checked.search("u", "As 12 / 4 = 3, we are done.") == []
    assert [(hit.item, hit.part) for hit in checked.search("u", f"Answer: {long.text}")] == [("l", "solution")]


def test_markup_does_not_hide_a_leak() -> None:
    text = question("q", "Evaluate x^2 + 3*x + 4 at x = 2, then add the two roots of it.")
    page = r"Evaluate \(x^{2} + 3 \cdot x + 4\) at $x = 2$, then \text{add} the two roots of it."
    assert [(hit.item, hit.coverage) for hit in index(text).search("u", page)] == [("q", 1.0)]


def test_evidence_names_every_benchmark_text_once_and_quotes_the_longest_passage() -> None:
    twin = question("twin", LONG.text, "other/test")
    page = f"on a hill near the old mill How many animals is nothing. {LONG.text} {SHORT.text} {LONG.text}"
    found = index(LONG, twin, SHORT).search("u", page)
    assert [(hit.benchmark, hit.item) for hit in found] == [
        ("made/test", "long"),
        ("other/test", "twin"),
        ("made/test", "short"),
    ]
    assert found[0].grams == len(grams(LONG.text)) == 20 and found[0].coverage == 1.0
    assert found[0].offset == 12
    assert f"«{LONG.text[:-1]}»" in found[0].context
    assert [len(passage.split()) for passage in found[0].passages] == [20, 11]


def test_a_long_passage_is_quoted_from_both_ends() -> None:
    text = question("q", " ".join(f"word{number}" for number in range(300)))
    (found,) = index(text).search("u", text.text)
    assert found.grams == 600 and len(found.context) < 450
    assert found.context.startswith("«word0 word1") and found.context.endswith("word299»")


def test_letters_whose_lower_case_is_longer_do_not_shift_the_quotation() -> None:
    (found,) = index(LONG).search("u", f"İstanbul İİ. {LONG.text}")
    assert "«a farmer keeps 17 sheep" in found.context


def test_a_common_phrase_is_shown_with_how_many_pages_and_domains_share_it() -> None:
    """A person must be able to tell everybody's identity from a copied problem."""
    pages = [
        f"Gauss was asked as a child: {LEMMA}, as every pupil knows.",
        f"Proof by induction: {LEMMA}. Done.",
        "A page about nothing of the kind, with words enough to be looked at by the index.",
        f"Exercise. {IDENTITY.text} Solution: 465.",
        f"Recall: {LEMMA}.",
    ]
    domains = ["a.example", "a.example", "b.example", "leak.example", "c.example"]
    found = {row["row"]: row for row in rows(index(IDENTITY), pages, domains)}
    # the page without it is kept, every other one goes and says why
    assert sorted(found) == [0, 1, 3, 4]
    for row in (0, 1, 4):
        assert (found[row]["pages"], found[row]["domains"]) == (4, 3)
        assert found[row]["coverage"] < 0.5 and LEMMA.split()[1] in found[row]["ngram"]
    # of the copy's n-grams the rarest is shown
    assert (found[3]["pages"], found[3]["domains"], found[3]["coverage"]) == (1, 1, 1.0)
    assert "passages" not in found[3]
    page = grams(pages[3])
    for row in found.values():
        start = row["offset"]
        assert " ".join(grams(pages[row["row"]])[start : start + 10]) == row["ngram"]
    assert page[found[3]["offset"]] == found[3]["ngram"].split()[0]


def test_record_lists_copies_and_common_phrases_apart() -> None:
    other = question("x", "Six boats with 4 oars each cross the bay twice; how many oars is that?", "b/test")
    checked = index(IDENTITY, SHORT, TINY, other)
    pages = [f"{LEMMA} and so on", f"so {LEMMA}", IDENTITY.text, f"{SHORT.text} and", "clean " * 30]
    found = rows(checked, pages, ["a", "b", "c", "d", "e"])
    state = benchmark_state(checked, found)
    json.dumps(state)
    assert [name.partition("@")[0] for name in state["names"]] == ["made/test", "b/test"]
    assert state["by_benchmark"] == {
        "made/test": {"texts": 3, "solutions": 0, "too_short": 1, "pages": 4},
        "b/test": {"texts": 1, "solutions": 0, "too_short": 0, "pages": 0},
    }
    assert state["pages"] == 4
    # the copy, not the two pages with the identity, stands for its text
    assert [(row["item"], row["url"], row["coverage"]) for row in state["examples"]] == [
        ("identity", "http://c/2", 1.0),
        ("short", "http://d/3", 1.0),
    ]
    assert [(row["pages"], row["domains"]) for row in state["shared"]] == [(3, 3)]
    assert LEMMA.startswith(state["shared"][0]["ngram"][:20])


def by_definition(
    texts: Sequence[BenchmarkText], page: str, ngram: int, min_ngram: int
) -> dict[str, tuple[float, int]]:
    """Item -> (share of its n-grams on the page, longest run of places), as the docstrings define them."""

    def windows(tokens: list[str], length: int) -> list[tuple[str, ...]]:
        return [tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]

    found, tokens = {}, grams(page)
    for item in texts:
        own = grams(item.text)
        if len(own) < min_ngram or (item.part == "solution" and len(own) < ngram):
            continue
        length = min(len(own), ngram)
        wanted, there = set(windows(own, length)), windows(tokens, length)
        if wanted & set(there):
            longest = run = 0
            for window in there:
                run = run + 1 if window in wanted else 0
                longest = max(longest, run)
            found[item.id] = (round(len(wanted & set(there)) / len(wanted), 4), longest + length - 1)
    return found


@given(st.integers(0, 10**9))
@settings(max_examples=150, deadline=None)
def test_search_is_the_plain_rule(seed: int) -> None:
    """Few words, so that texts and pages share n-grams, repeat them, and hold one another."""
    rng = random.Random(seed)
    words = ["a", "b", "7", "12", "+", "=", r"\times", r"\frac", r"\left", "×", "x", "中", "don’t", ",", "("]
    said = [" ".join(rng.choices(words, k=rng.randint(0, 9))) for _ in range(rng.randint(1, 8))]
    parts = rng.choices(("question", "solution"), k=len(said))
    texts = [BenchmarkText("m/test", str(n), *pair) for n, pair in enumerate(zip(parts, said, strict=True))]
    pieces = [rng.choice([rng.choice(texts).text, *words]) for _ in range(rng.randint(0, 25))]
    page = rng.choice((" ", "  \n")).join(pieces)
    checked = index(*texts, ngram=4, min_ngram=2)
    found = {hit.item: (hit.coverage, hit.grams) for hit in checked.search("u", page)}
    assert found == by_definition(texts, page, 4, 2)


SCANNER = Scanner(0)
TRICKY = st.sampled_from([*"ab7'’\\_ -+×中é²İſ𝑥😀ǅ\n{}^", "\\left", "\\times", "\\alpha", "'s"])


@given(st.lists(TRICKY | st.characters(), max_size=30).map("".join))
@settings(max_examples=400, deadline=None)
def test_array_scan_finds_the_grams_of_the_tokenizer(text: str) -> None:
    assert SCANNER.hashes(text).tolist() == SCANNER.hash_grams(grams(text)).tolist()


def test_array_scan_knows_every_character() -> None:
    """Each one alone, doubled, and between letters and digits."""
    forms = ("{0}", "{0}{0}", "a{0}b", "a{0}{0}b", "3{0}4", "x{0} {0}y")
    points = [*range(0xD800), *range(0xE000, 0x10000), *range(0x1D400, 0x1D800)]
    texts = [" ".join(form.format(chr(point)) for form in forms) for point in points]
    for start in range(0, len(texts), 100):
        block = " ".join(texts[start : start + 100])
        assert SCANNER.hashes(block).tolist() == SCANNER.hash_grams(grams(block)).tolist(), block


def test_two_ngrams_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A degenerate hash must change the speed and not the answer."""
    honest = TokenHasher.__init__

    def degenerate(self: TokenHasher, seed: int, alike: dict[str, str]) -> None:
        """At the first seed every character has the same value."""
        honest(self, seed, alike)
        if seed == 0:
            self._alike = dict.fromkeys(range(0x110000), 0)

    monkeypatch.setattr(TokenHasher, "__init__", degenerate)
    texts = [question(str(n), f"w{n} x y z") for n in range(20, 40)]
    assert [hit.item for hit in index(*texts, ngram=4).search("u", "see w25 x y z")] == ["25"]


def test_index_survives_pickling_and_saving(tmp_path: Path) -> None:
    made = index(LONG, SHORT, question("é", "Combien de mots y a-t-il dans l’énoncé que voici, dites-le ?"))
    assert made.search("u", LONG.text)
    sent = pickle.loads(pickle.dumps(made))
    made.save(tmp_path / "a")
    sent.save(tmp_path / "b")
    loaded = BenchmarkIndex.load(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sent == loaded == made and sent.digest == loaded.digest == made.digest
    assert loaded.search("u", f"{LONG.text} {SHORT.text}") == made.search("u", f"{LONG.text} {SHORT.text}")
    assert index(LONG, ngram=9).digest != index(LONG).digest != index(SHORT).digest


@pytest.mark.parametrize(
    "content", ["", "{}", '{"format": 0}', '{"format": 1, "ngram": 3, "min_ngram": 2, "texts": [1]}']
)
def test_file_that_is_no_index_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "index").write_text(content)
    with pytest.raises(DataError, match="not an index of benchmarks"):
        BenchmarkIndex.load(tmp_path / "index")


def test_hostile_page_is_searched_in_bounded_time() -> None:
    """A phrase of many benchmark texts, repeated to the limit of a page; and a page of the whole benchmark."""
    texts = [
        question(str(n), f"express your answer as a common fraction in lowest terms please {n}") for n in range(400)
    ]
    checked = index(*texts)
    checked.search("u", "warm")
    start = time.process_time()
    repeated = checked.search("u", "express your answer as a common fraction in lowest terms please " * 20_000)
    whole = checked.search("u", "\n".join(item.text for item in texts))
    assert time.process_time() - start < 10
    assert len(repeated) == len(whole) == 400
    assert sys.getsizeof(repeated[0].context) < 2_000


def test_empty_index_and_empty_page() -> None:
    assert index().search("u", LONG.text) == []
    assert index(TINY).search("u", "2+2=4") == []
    assert index(LONG).search("u", "") == []
