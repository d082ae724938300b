"""The corpora set beside the curated one: how large, of what, and that no test problem is in them."""

from __future__ import annotations

import itertools

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.corpus_schema import WebConfig
from dsm_repro.miniature import text_collections, web_sites
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.text import COLLECTIONS, documents, fingerprint
from dsm_repro.miniature.text_collections import collection
from dsm_repro.miniature.web import PROBLEM_SEED_OFFSET, seed_documents
from dsm_repro.pretraining.packing import pack

SEED_HOSTS = {site.domain for site in web_sites.SEED_SITES}


def is_page(name: str) -> bool:
    return "://" in name


def host(name: str) -> str:
    return name.split("/")[2]


def test_the_training_of_mini_goes_through_them_as_often_as_the_papers() -> None:
    """Table 1: 150B tokens over 13.6B, 8.9B and (ArXiv-RedPajama) 28.0B."""
    from dsm_repro.miniature.tokenizer import train_tokenizer

    config = compose([])
    tiny = config.scale.models["llm"].tiny
    assert tiny is not None
    tokenizer = train_tokenizer(tiny.vocab_size)
    length = config.pretrain.sequence_length
    epochs = {}
    for kind in (*COLLECTIONS, "latex_prose"):
        ids = tokenizer([text for _, text in documents(kind, 0)], add_special_tokens=False)["input_ids"]
        blocks = pack(iter(ids), int(tokenizer.eos_token_id), length)  # type: ignore[arg-type]
        epochs[kind] = config.pretrain.tokens / sum(rows.size for rows in blocks)
    assert epochs["openwebmath"] == pytest.approx(150 / 13.6, rel=0.01)
    assert epochs["mathpile"] == pytest.approx(150 / 8.9, rel=0.01)
    # another version of a package brings other docstrings
    assert epochs["latex_prose"] == pytest.approx(150 / 28.0, rel=0.10)


def test_mathpile_is_eighty_five_per_cent_papers_and_the_rest_pages_of_the_seed_sites() -> None:
    found = collection("mathpile")
    papers = {name: text for name, text in found if not is_page(name)}
    size = sum(len(text) for _, text in found)
    assert 0.85 <= sum(map(len, papers.values())) / size < 0.86
    assert papers.items() <= dict(documents("latex_prose", text_collections.MATHPILE_SEED)).items()
    assert {host(name) for name, _ in found if is_page(name)} == SEED_HOSTS


def test_openwebmath_is_worked_problems_of_sites_that_are_not_crawled() -> None:
    found = collection("openwebmath")
    assert {host(name) for name, _ in found} == SEED_HOSTS
    assert not SEED_HOSTS & set(web_sites.SITES)
    assert sum("\\boxed" in text for _, text in found) > 0.95 * len(found)


def test_they_are_other_pages_than_the_seed_of_a_crawl_and_than_each_other() -> None:
    train = problems("train", 2_000, PROBLEM_SEED_OFFSET)
    crawl = {page["text"] for page in seed_documents(WebConfig(), train, 200)}
    pages = [{text for name, text in collection(kind) if is_page(name)} for kind in COLLECTIONS]
    assert not any(a & b for a, b in itertools.combinations([crawl, *pages], 2))


def test_no_test_question_is_in_them() -> None:
    questions = [problem.question for problem in problems("test", 800, 0)]
    whole = "\n".join(text for kind in COLLECTIONS for _, text in collection(kind))
    assert not [question for question in questions if question in whole]


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_the_seed_decides_the_order_and_nothing_else(kind: str) -> None:
    first, second = list(documents(kind, 1)), list(documents(kind, 2))
    assert first != second
    assert sorted(first) == sorted(second) == sorted(collection(kind))


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_reader_cannot_change_what_the_next_one_gets(kind: str) -> None:
    before = collection(kind)
    collection(kind).clear()
    assert collection(kind) == before


def test_fingerprints_name_the_packages_and_the_version_of_what_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert " reasoning-gym/" in fingerprint("openwebmath")
    assert fingerprint("latex_prose") in fingerprint("mathpile")
    before = {kind: fingerprint(kind) for kind in COLLECTIONS}
    monkeypatch.setattr(text_collections, "VERSION", text_collections.VERSION + 1)
    fingerprint.cache_clear()
    try:
        assert all(fingerprint(kind) != before[kind] for kind in COLLECTIONS)
    finally:
        fingerprint.cache_clear()
