"""Curation end to end on a small web, against the truth that made it."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from small_curation import CORPUS, CRAWL, config, contents, curate, record, rows, run_stage

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus import crawl_stage
from dsm_repro.miniature.web import write_web


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return curate(config(), tmp_path_factory.mktemp("curation"))


def test_selection_finds_the_maths(made: dict[str, Path]) -> None:
    last = record(made["corpus"])["truth"]["rounds"][-1]
    assert last["maths"]["precision"] >= 0.95
    assert last["domains"]["recall"] >= 0.8


def test_near_duplicates_and_leaks_against_the_truth(made: dict[str, Path]) -> None:
    pairs = record(made["crawl"])["truth"]["near_duplicate_pairs"]
    assert pairs["precision"] >= 0.98 and pairs["recall"] >= 0.9
    found = record(made["corpus"])["truth"]["decontamination"]
    assert found["leaks"] > 0 and found["leaks_removed"] == found["leaks"]


def test_pages_are_ranked_and_reach_beyond_the_top_tokens(made: dict[str, Path]) -> None:
    said, pages = record(made["corpus"]), rows(made["corpus"] / "pages.jsonl")
    assert [page["rank"] for page in pages] == list(range(len(pages)))
    assert all(before["score"] >= after["score"] for before, after in pairwise(pages))
    collected = [page for page in pages if page["collected"]]
    assert collected == pages[: len(collected)] and len(collected) < len(pages)
    tokens = sum(page["tokens"] for page in collected)
    assert tokens - collected[-1]["tokens"] < 25_000 <= tokens == said["tokens"]
    assert said["score_threshold"] == pytest.approx(collected[-1]["score"])


def test_every_record_is_accounted_for(made: dict[str, Path]) -> None:
    said = record(made["corpus"])
    counts = dict(said["funnel"])
    assert counts["records"] == counts["decontaminated"] + sum(said["drops"].values())
    dropped = rows(made["crawl"] / "dropped.jsonl") + rows(made["corpus"] / "dropped.jsonl")
    assert len(dropped) == sum(said["drops"].values())
    numbers = [number for _, number in said["funnel"]]
    assert numbers == sorted(numbers, reverse=True)
    assert {reason: len(examples) for reason, examples in said["drop_examples"].items()} == {
        reason: min(count, 3) for reason, count in said["drops"].items()
    }


def test_contaminated_pages_are_out_and_their_evidence_is_kept(made: dict[str, Path]) -> None:
    evidence = rows(made["corpus"] / "contamination.jsonl")
    contaminated = {hit["url"] for hit in evidence}
    assert contaminated and contaminated.isdisjoint(page["url"] for page in rows(made["corpus"] / "pages.jsonl"))
    assert all(hit["ngram"] and hit["pages"] >= 1 and hit["benchmark"] == "miniature/test" for hit in evidence)
    said = record(made["corpus"])["benchmark"]
    assert said["pages"] == len(contaminated) and said["names"][0].startswith("miniature/test@")


def test_decisions_are_marked_as_automatic(made: dict[str, Path]) -> None:
    said = record(made["corpus"])
    assert [item["round"] for item in said["rounds"]] == [1, 2]
    assert said["rounds"][0]["overlap"] is None and 0 < said["rounds"][1]["overlap"] <= 1
    assert said["review"] == "auto" and {item["by"] for item in said["reviews"]} == {"auto"}


def test_a_killed_stage_goes_on_to_the_same_bytes(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(crawl_stage, "_keep", kill)
        with pytest.raises(Killed):
            run_stage(CRAWL, config(), tmp_path, {})
    (tmp_path / "crawl" / "out").rename(tmp_path / "half")
    crawl = run_stage(CRAWL, config(), tmp_path, {})
    with monkeypatch.context() as patched:
        patched.setattr("dsm_repro.corpus.stage._ranked_pages", kill)
        with pytest.raises(Killed):
            run_stage(CORPUS, config(), tmp_path, {"crawl": crawl})
    (tmp_path / "corpus" / "out").rename(tmp_path / "half corpus")
    corpus = run_stage(CORPUS, config(), tmp_path, {"crawl": crawl})
    assert contents({"crawl": crawl, "corpus": corpus}) == contents(made)


def test_an_own_crawl_gives_the_same_pages_as_the_miniature(made: dict[str, Path], tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    write_web(config().corpus.web, web)
    own = config(reader="warc", paths=[str(web / "*.warc.gz")], seed_paths=[str(web / "seed.jsonl")])
    again = curate(own, tmp_path / "run")
    assert (again["corpus"] / "pages.jsonl").read_bytes() == (made["corpus"] / "pages.jsonl").read_bytes()
    assert record(again["crawl"])["truth"] is None and record(again["corpus"])["truth"] is None


def test_arms_that_collect_differently_share_the_crawl() -> None:
    base = config()
    for change in ({"top_tokens": 1}, {"rounds": 3}, {"domain_threshold": 0.2}, {"review": "file"}):
        assert CORPUS.identity(config(**change)) != CORPUS.identity(base)
        assert CRAWL.identity(config(**change)) == CRAWL.identity(base)
    for change in ({"min_characters": 7}, {"languages": ["en"]}):
        assert CRAWL.identity(config(**change)) != CRAWL.identity(base)
    other = config()
    other.evaluation.problems = 41
    assert CRAWL.identity(other) == CRAWL.identity(base) and CORPUS.identity(other) != CORPUS.identity(base)
    json.dumps([CRAWL.identity(base), CORPUS.identity(base)])


def test_identity_has_what_is_read_and_not_where_it_lies(tmp_path: Path) -> None:
    identities = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("crawl.jsonl", "seed.jsonl"):
            (folder / file).write_text('{"url": "http://e.example/", "text": "x"}\n')
        made = config(reader="jsonl", paths=[str(folder / "crawl.jsonl")], seed_paths=[str(folder / "seed.jsonl")])
        identities.append((CRAWL.identity(made), CORPUS.identity(made)))
        assert [path.name for path in CRAWL.inputs(made)] == ["crawl.jsonl"]
        assert [path.name for path in CORPUS.inputs(made)] == ["seed.jsonl"]
    assert identities[0] == identities[1]


def test_missing_seed_and_crawl_are_named_before_work(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"corpus\.seed_paths=\[\]"):
        CORPUS.inputs(config(reader="jsonl", paths=[str(tmp_path / "a.jsonl")]))
    with pytest.raises(DataError, match="gone"):
        CRAWL.inputs(config(reader="jsonl", paths=[str(tmp_path / "gone.jsonl")]))


def test_a_crawl_without_a_page_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"url": "nonsense", "text": "x"}\n')
    made = config(reader="jsonl", paths=[str(tmp_path / "a.jsonl")])
    with pytest.raises(DataError, match="bad_url"):
        run_stage(CRAWL, made, tmp_path / "run", {})


def test_damage_costs_what_is_damaged(tmp_path: Path) -> None:
    text = "Solve 3x + 4 = 19 for x. Subtract 4 from both sides to get 3x = 15, so x = 5 is the only solution. "
    folder = tmp_path / "crawl"
    folder.mkdir()
    words = ("sum", "root", "angle", "prime", "graph")
    good = [
        json.dumps({"url": f"http://e.example/{n}", "text": text.replace("x", word).replace("3", f"{n}7")})
        for n, word in enumerate(words)
    ]
    (folder / "a.jsonl").write_bytes(
        b"\n".join([
            good[0].encode(), b"{broken", b'{"url": "http://e.example/x", "text": "caf\xe9 \xff"}',
            b'{"url": "not a url", "text": "x"}', b'{"url": "http://e.example/0?utm_source=feed", "text": "again"}',
            json.dumps({"url": "http://e.example/deep", "html": "<div>" * 10_000 + text}).encode(),
            json.dumps({"url": "http://e.example/big", "text": text * 40_000}).encode(),
            json.dumps({"url": "http://e.example/short", "text": "x"}).encode(), good[1].encode(),
        ])
    )  # fmt: skip
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(good[2:]).encode())[:-20])
    (folder / "c.jsonl").write_bytes(b"")
    made = config(reader="jsonl", paths=[str(folder)])
    out = run_stage(CRAWL, made, tmp_path / "run", {})
    said = record(out)
    assert dict(said["funnel"])["near_deduplicated"] >= 2
    assert {"bad_json", "bad_url", "too_deep", "too_large", "too_short", "empty_file"} <= said["drops"].keys()
    assert any(reason.startswith("gzip") for reason in said["drops"])
