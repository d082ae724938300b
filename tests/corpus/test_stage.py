"""The stage end to end on a small web, against the truth that made it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.corpus.loop import select
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.quality import reason_to_drop
from dsm_repro.corpus.stage import STAGE
from dsm_repro.miniature.web import write_web
from dsm_repro.pipeline.stage import StageContext

FILES = ("pages.jsonl", "contamination.jsonl", "dropped.jsonl", "record.json", "metrics.jsonl")


def config(**corpus: object) -> Config:
    made = Config()
    made.corpus.web.pages = 300
    made.corpus.top_tokens = 25_000
    made.corpus.classifier.dim = 32
    made.corpus.classifier.bucket = 20_000
    made.evaluation.problems = 40
    for key, value in corpus.items():
        setattr(made.corpus, key, value)
    return made


def run(made: Config, folder: Path, threads: int = 1) -> Path:
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    STAGE.run(StageContext(made, out, scratch, {}, threads))
    return out


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(config(), tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def record(out: Path) -> dict:
    return json.loads((out / "record.json").read_text())


def test_selection_finds_the_maths(record: dict) -> None:
    last = record["truth"]["rounds"][-1]
    assert last["maths"]["precision"] >= 0.95
    assert last["domains"]["recall"] >= 0.8


def test_near_duplicates_and_leaks_against_the_truth(record: dict) -> None:
    pairs = record["truth"]["near_duplicate_pairs"]
    assert pairs["precision"] >= 0.98 and pairs["recall"] >= 0.9
    found = record["truth"]["decontamination"]
    assert found["leaks"] > 0 and found["leaks_removed"] == found["leaks"]


def test_pages_are_ranked_and_reach_beyond_the_top_tokens(out: Path, record: dict) -> None:
    pages = rows(out / "pages.jsonl")
    assert [page["rank"] for page in pages] == list(range(len(pages)))
    assert all(before["score"] >= after["score"] for before, after in pairwise(pages))
    collected = [page for page in pages if page["collected"]]
    assert collected == pages[: len(collected)] and len(collected) < len(pages)
    tokens = sum(page["tokens"] for page in collected)
    assert tokens - collected[-1]["tokens"] < 25_000 <= tokens == record["tokens"]
    assert record["score_threshold"] == collected[-1]["score"]


def test_every_record_is_accounted_for(out: Path, record: dict) -> None:
    counts = dict(record["funnel"])
    assert counts["records"] == counts["decontaminated"] + sum(record["drops"].values())
    assert len(rows(out / "dropped.jsonl")) == sum(record["drops"].values())


def test_contaminated_pages_are_out_and_their_evidence_is_kept(out: Path) -> None:
    contaminated = {hit["url"] for hit in rows(out / "contamination.jsonl")}
    assert contaminated and contaminated.isdisjoint(page["url"] for page in rows(out / "pages.jsonl"))
    texts = " ".join(hit["ngram"] for hit in rows(out / "contamination.jsonl"))
    assert texts


def test_rounds_count_retrainings_and_decisions_are_marked(record: dict) -> None:
    assert [item["round"] for item in record["rounds"]] == [0, 1]
    assert record["rounds"][0]["overlap"] is None and 0 < record["rounds"][1]["overlap"] <= 1
    assert record["reviews"] and {item["by"] for item in record["reviews"]} == {"auto"}


def test_same_config_gives_the_same_bytes_on_one_core_or_two(out: Path, tmp_path: Path) -> None:
    again = run(config(), tmp_path, threads=2)
    for name in FILES:
        assert (again / name).read_bytes() == (out / name).read_bytes(), name


def test_an_own_crawl_gives_the_same_pages_as_the_miniature(out: Path, tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    write_web(config().corpus.web, web)
    own = config(reader="warc", paths=[str(web / "*.warc.gz")], seed_paths=[str(web / "seed.jsonl")])
    assert (run(own, tmp_path / "run") / "pages.jsonl").read_bytes() == (out / "pages.jsonl").read_bytes()


def test_identity_has_what_changes_the_result_and_not_where_files_lie(tmp_path: Path) -> None:
    base = STAGE.identity(config())
    json.dumps(base)
    for change in ({"top_tokens": 1}, {"rounds": 2}, {"domain_threshold": 0.2}):
        assert STAGE.identity(config(**change)) != base
    other = config()
    other.evaluation.problems = 41
    assert STAGE.identity(other) != base
    identities = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("crawl.jsonl", "seed.jsonl"):
            (folder / file).write_text('{"url": "http://e.example/", "text": "x"}\n')
        made = config(reader="jsonl", paths=[str(folder / "crawl.jsonl")], seed_paths=[str(folder / "seed.jsonl")])
        identities.append(STAGE.identity(made))
        assert [path.name for path in STAGE.inputs(made)] == ["crawl.jsonl", "seed.jsonl"]
    assert identities[0] == identities[1]


def test_missing_seed_and_crawl_are_named_before_work(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"corpus\.seed_paths=\[\]"):
        STAGE.inputs(config(reader="jsonl", paths=[str(tmp_path / "a.jsonl")]))
    with pytest.raises(DataError, match="gone"):
        STAGE.inputs(config(reader="jsonl", paths=[str(tmp_path / "gone.jsonl")]))


def test_a_crawl_without_a_page_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"url": "nonsense", "text": "x"}\n')
    (tmp_path / "seed.jsonl").write_text('{"text": "solve x = 1"}\n')
    made = config(reader="jsonl", paths=[str(tmp_path / "a.jsonl")], seed_paths=[str(tmp_path / "seed.jsonl")])
    with pytest.raises(DataError, match="bad_url"):
        run(made, tmp_path / "run")


def test_selection_by_hand() -> None:
    pages = [
        Page(f"http://e.example/{name}", "e.example", "", tokens, "")
        for name, tokens in zip("abcd", (4, 4, 4, 4), strict=True)
    ]
    ranked = select(pages, [0.1, 0.9, 0.5, 0.9], top_tokens=9)
    assert [(item.page.url[-1], item.collected) for item in ranked] == [
        ("b", True),
        ("d", True),
        ("c", True),
        ("a", False),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("short", "too_short"),
        ("\ufffd\u25a0\u2588\u2605 " * 60, "not_text"),
        ("404 Not Found. " + "The page that you want is not here. " * 3, "notice"),
        ("Buy this wonderful thing today!\n" * 20, "repeated_lines"),
        (r"$$\int_0^1 \frac{x^{2}}{\sqrt{1-x^2}}\,dx = \frac{\pi}{4}, \quad \{x_i\} \subset \{a, b\}$$ " * 2, None),
        ("0 1 0\n1 0 1\n0 1 0\n" * 20 + "A matrix, written out in full so that it may be read line by line.", None),
        ("f(x) = {x + 1, if x > 0; −x², if x ≤ 0} ⇒ ∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε; ∑ k = n(n+1)/2 ∈ ℕ ⊂ ℝ", None),
    ],
)  # fmt: skip
def test_quality_filters_do_not_delete_mathematics(text: str, reason: str | None) -> None:
    page = Page("http://e.example/", "e.example", text.strip(), len(text.split()), "")
    assert reason_to_drop(page, Config().corpus) == reason
