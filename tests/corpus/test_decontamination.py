"""Exact 10-grams, short texts as a whole, evidence for each hit."""

from __future__ import annotations

from dsm_repro.config.schema import DecontaminationConfig
from dsm_repro.corpus.decontamination import BenchmarkIndex, BenchmarkText

LONG = BenchmarkText(
    "long", "A farmer keeps 17 sheep and 5 goats on a hill near the old mill. How many animals is that?"
)
SHORT = BenchmarkText("short", "Find the gcd of 12 and 18.")
TINY = BenchmarkText("tiny", "2+")


def index(*texts: BenchmarkText) -> BenchmarkIndex:
    return BenchmarkIndex(texts, DecontaminationConfig())


def test_ten_shared_grams_are_a_hit_and_nine_are_not() -> None:
    found = index(LONG).search("u", "He wrote: keeps 17 sheep, and 5 goats on a hill near (sic).")
    assert [(hit.url, hit.benchmark, hit.ngram) for hit in found] == [
        ("u", "long", "keeps 17 sheep and 5 goats on a hill near")
    ]
    assert index(LONG).search("u", "He wrote: keeps 17 sheep, and 5 goats on a hill by the sea.") == []


def test_another_number_is_another_text() -> None:
    assert index(LONG).search("u", LONG.text.replace("17", "19").replace("old", "new")) == []


def test_short_text_must_occur_as_a_whole() -> None:
    assert [hit.ngram for hit in index(SHORT).search("u", "Today: find the GCD of $12$ and $18$, quickly.")] == [
        "find the gcd of 12 and 18"
    ]
    assert index(SHORT).search("u", "Find the gcd of 12 and 180.") == []
    assert index(SHORT).search("u", "the gcd of 12 and 18") == []


def test_markup_does_not_hide_a_leak() -> None:
    question = BenchmarkText("q", "Evaluate x^2 + 3*x + 4 at x = 2, then add the two roots of it.")
    page = r"Evaluate \(x^{2} + 3 \cdot x + 4\) at $x = 2$, then add the two roots of it."
    assert [hit.benchmark for hit in index(question).search("u", page)] == ["q"]


def test_texts_too_short_to_check_are_counted() -> None:
    found = index(LONG, SHORT, TINY)
    assert (found.texts, found.too_short) == (3, 1)
    assert found.search("u", "2+2=4 and a clean page that says nothing of the kind") == []


def test_evidence_names_every_benchmark_text_once() -> None:
    twin = BenchmarkText("twin", LONG.text)
    found = index(LONG, twin, SHORT).search("u", f"{LONG.text} {SHORT.text} {LONG.text}")
    assert sorted(hit.benchmark for hit in found) == ["long", "short", "twin"]
