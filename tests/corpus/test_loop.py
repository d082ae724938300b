"""The loop: by hand with given scores, then on the miniature's pages with a real classifier, against their truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pytest

from dsm_repro.config.corpus_schema import CorpusConfig, WebConfig
from dsm_repro.config.errors import DataError
from dsm_repro.corpus.classifier import line, load, score_lines
from dsm_repro.corpus.crawl import Crawl, write_pages
from dsm_repro.corpus.loop import Round, collected_domains, curate, reviews
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.review import ByShare
from dsm_repro.corpus.selection import Ranking
from dsm_repro.corpus.tokens import count_tokens
from dsm_repro.corpus.truth import Label, check_rounds
from dsm_repro.corpus.url import clean as cleaned
from dsm_repro.corpus.url import domain
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.web_plan import plan_pages, seed_pages

SEEDS = ["solve x = 3", "the root of x"]
FORUM = [f"http://forum.example/questions/{number}" for number in range(6)]
NEWS = [f"http://news.example/story/{number}" for number in range(14)]
URLS = [*FORUM, *NEWS]


def config(**changes: object) -> CorpusConfig:
    made = CorpusConfig(top_tokens=60, rounds=3)
    made.classifier.dim, made.classifier.bucket, made.classifier.min_count = 4, 100, 1
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def crawl_of(folder: Path, urls: Sequence[str] = URLS) -> Crawl:
    pages = [Page(url, domain(url), f"page {number} of it", 10, "test") for number, url in enumerate(urls)]
    write_pages(pages, folder / "pages.parquet")
    return Crawl([folder / "pages.parquet"])


def scorer(*by_round: Collection[str], urls: Sequence[str] = URLS) -> Callable[[Path], np.ndarray]:
    """Scores that put these pages first in each round, in order."""

    def score(model: Path) -> np.ndarray:
        best = list(by_round[int(model.parent.name.removeprefix("round-")) - 1])
        return np.float32([1 - best.index(url) / 100 if url in best else 0.1 for url in urls])

    return score


def run(
    folder: Path,
    score: Callable[[Path], np.ndarray],
    made: CorpusConfig,
    dirty: Collection[str] = (),
    volumes: Sequence[float] = (1.0,),
) -> tuple[Ranking, list[Round]]:
    crawl = crawl_of(folder)
    made.volumes = list(volumes)
    clean = [url not in dirty for url in URLS]
    return curate(crawl, clean, SEEDS, made, 0, folder / "loop", score, ByShare(0.5))


def test_three_rounds_by_hand(tmp_path: Path) -> None:
    # 3 forum pages and 1 of news; then all of the forum; then the same again
    score = scorer([*FORUM[:3], NEWS[0]], [*FORUM, NEWS[0]], [*FORUM, NEWS[0]])
    ranking, rounds = run(tmp_path, score, config(top_tokens=70), volumes=(4 / 7, 1.0))
    first, second, third = (item.state() for item in rounds)
    assert [(item["round"], item["pages"], item["tokens"]) for item in (first, second, third)] == [
        (1, 4, 40),
        (2, 7, 70),
        (3, 7, 70),
    ]
    assert [item["overlap"] for item in (first, second, third)] == [None, 4 / 7, 1.0]
    assert first["threshold"] == pytest.approx(0.97) and second["threshold"] == pytest.approx(0.94)
    # half of the forum was collected: its questions are accepted, and what is left of them joins
    assert (first["math_domains"], first["proposed_prefixes"], first["accepted_prefixes"]) == (1, 1, 1)
    assert first["new_positives"] == 3
    assert [item["positives"] for item in (first, second, third)] == [2, 5, 5]
    # 20 pages; in the second round less 3 positives and the 3 that were collected in the forum
    assert [item["negatives"] for item in (first, second, third)] == [20, 14, 14]
    assert first["funnel"] == {"scored": 20, "collected": 4, "in_math_domains": 3}
    assert first["new_domains"] == [
        {"domain": "forum.example", "pages": 6, "collected": 3, "share": 0.5, "examples": FORUM[:3]}
    ]
    assert second["new_domains"] == third["new_domains"] == []
    assert collected_domains(rounds) == [
        {
            "domain": "forum.example", "pages": 6, "collected": 6, "share": 1.0, "first_round": 1,
            "examples": FORUM[:3],
        }
    ]  # fmt: skip
    assert reviews(rounds) == [
        {
            "round": 1, "domain": "forum.example", "path": "/questions/", "pages": 6, "collected": 3, "share": 0.5,
            "samples": FORUM[3:], "accepted": True, "by": "auto",
        }
    ]  # fmt: skip
    assert ranking.rows_until(70) == [*range(6), 6]
    json.dumps([item.state() for item in rounds], allow_nan=False)


def test_it_stops_when_nearly_all_was_known(tmp_path: Path) -> None:
    same = [*FORUM[:5], NEWS[0]]
    _, rounds = run(tmp_path, scorer(same, same, same), config())
    assert [item.overlap for item in rounds] == [None, 1.0]
    # nothing is trained after the last round, so nothing is reviewed
    assert rounds[-1].reviews == () and rounds[-1].new_positives == 0


def test_a_small_volume_that_was_known_is_no_reason_to_stop(tmp_path: Path) -> None:
    same = [*FORUM[:5], NEWS[0]]
    _, rounds = run(tmp_path, scorer(same, same, same), config(), volumes=(0.5, 0.5))
    assert [item.tokens for item in rounds] == [30, 30, 60]


def test_one_round_collects_the_whole_volume(tmp_path: Path) -> None:
    _, rounds = run(tmp_path, scorer(FORUM), config(rounds=1))
    assert [item.tokens for item in rounds] == [60]


def test_contaminated_pages_count_in_their_domain_and_nowhere_else(tmp_path: Path) -> None:
    dirty = FORUM[:2]
    ranking, rounds = run(tmp_path, scorer(FORUM[:4], FORUM, FORUM), config(top_tokens=20), dirty)
    assert [URLS[row] for row in ranking.rows_until(20)] == FORUM[2:4]
    (found,) = rounds[0].domains
    assert (found.domain.pages, found.domain.collected) == (6, 2)
    assert rounds[0].scored == 18
    trained = (tmp_path / "loop" / "round-1" / "classifier.txt").read_text()
    assert "page 2 of it" in trained
    assert "page 0 of it" not in trained and "page 1 of it" not in trained


def test_a_page_is_never_on_both_sides(tmp_path: Path) -> None:
    run(tmp_path, scorer(*[[*FORUM[:3], NEWS[0]]] * 3), config(top_tokens=40, stop_overlap=1.1))
    lines = (tmp_path / "loop" / "round-2" / "classifier.txt").read_text().splitlines()
    sides: dict[str, set[str]] = {"__label__math": set(), "__label__other": set()}
    for row in lines:
        label, _, text = row.partition(" ")
        sides[label].add(text)
    assert not sides["__label__math"] & sides["__label__other"]
    assert sides["__label__math"] >= {"page 3 of it", "page 5 of it"}
    # collected pages of a mathematical domain are not held up as something else, those of another domain are
    assert not sides["__label__other"] & {"page 0 of it", "page 1 of it", "page 2 of it"}


def test_a_crawl_of_mathematics_alone_still_has_negatives(tmp_path: Path) -> None:
    _, rounds = run(tmp_path, scorer(URLS, URLS, URLS), config(top_tokens=1_000))
    assert rounds[-1].negatives == 20


def test_a_killed_loop_goes_on_with_the_models_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fasttext

    score = scorer(*[[*FORUM[:3], NEWS[0]]] * 3)
    made = config(top_tokens=40, stop_overlap=1.1)
    calls = []
    whole = fasttext.train_supervised
    monkeypatch.setattr(fasttext, "train_supervised", lambda *a, **k: calls.append(a) or whole(*a, **k))

    def dying(model: Path) -> np.ndarray:
        if model.parent.name == "round-2":
            raise KeyboardInterrupt
        return score(model)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, dying, made)
    ranking, rounds = run(tmp_path, score, made)
    assert len(calls) == 3
    other = tmp_path / "undisturbed"
    other.mkdir()
    again, undisturbed = run(other, score, made)
    assert [item.state() for item in rounds] == [item.state() for item in undisturbed]
    assert ranking.order.tolist() == again.order.tolist()


def test_scores_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="19 scores for 20 pages"):
        run(tmp_path, lambda model: np.zeros(19, np.float32), config())


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crawl, list[Round], list[dict]]:
    """A web's pages as they were planned, without HTML, copies and leaks."""
    web = WebConfig(pages=1_200, leak_share=0, exact_duplicate_share=0, near_duplicate_share=0)
    train = problems("train", 3_000, 5)

    planned = {cleaned(page.url) or page.url: page for page in plan_pages(web, train, []) if page.blocks}
    folder = tmp_path_factory.mktemp("miniature")
    made = [Page(url, domain(url), p.main_text, count_tokens(p.main_text), "plan") for url, p in planned.items()]
    write_pages(made, folder / "pages.parquet")
    crawl = Crawl([folder / "pages.parquet"])
    labels = {url: Label(p.is_math, p.quality, p.domain, url, False) for url, p in planned.items()}
    settings = CorpusConfig(top_tokens=sum(page.tokens for page in made if planned[page.url].is_math), stop_overlap=1.1)
    settings.classifier.dim, settings.classifier.bucket = 32, 20_000
    settings.classifier.positives = settings.classifier.negatives = 1_000

    def score(model: Path) -> np.ndarray:
        texts = crawl.texts(range(len(crawl)))
        return np.fromiter(score_lines(load(model), map(line, texts)), dtype=np.float32)

    seeds = [page.main_text for page in seed_pages(web, train, 90)]
    clean = [True] * len(crawl)
    _, rounds = curate(crawl, clean, seeds, settings, 0, folder / "loop", score, ByShare(0.5))
    return crawl, rounds, check_rounds(rounds, crawl, clean, labels, settings.domain_threshold)


def test_domains_found_grow_from_the_first_round_to_the_last(miniature: tuple[Crawl, list[Round], list[dict]]) -> None:
    recall = [item["domains"]["recall"] for item in miniature[2]]
    assert len(recall) == 4
    assert recall[0] < recall[-1] == 1.0
    assert recall == sorted(recall)
    assert all(item["domains"]["precision"] >= 0.95 for item in miniature[2])


def test_later_rounds_are_no_less_precise_at_equal_volume(miniature: tuple[Crawl, list[Round], list[dict]]) -> None:
    first, last = (miniature[2][index]["at_full_volume"] for index in (0, -1))
    assert last["maths"]["precision"] >= first["maths"]["precision"] >= 0.95
    assert last["maths"]["recall"] >= first["maths"]["recall"] - 0.01
    assert last["good_maths"]["token_precision"] >= first["good_maths"]["token_precision"] - 0.01


def test_negatives_lose_their_mathematics(miniature: tuple[Crawl, list[Round], list[dict]]) -> None:
    assert miniature[1][-1].held_out["precision"] > miniature[1][0].held_out["precision"]
