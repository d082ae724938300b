from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import synthetic
import synthetic_corpus
from hypothesis import given
from hypothesis import strategies as st
from synthetic_corpus import artifact, run, sweep

from dsm_repro.reporting.blocks import Cell, Fold, Table, Text
from dsm_repro.reporting.corpus import corpora, histogram, printable, varied
from dsm_repro.reporting.records import Run, Sweep
from dsm_repro.reporting.render import render_sweep
from dsm_repro.reporting.sections.corpus import corpus as section
from dsm_repro.reporting.sections.corpus_cells import MOST_ROWS, OPEN_ROWS
from dsm_repro.reporting.values import number

#: the figures that a section may refer to; drawing them is another test's
DRAWN = ("corpus-scores.svg", "corpus-lengths.svg")


def blocks_of(found: Sweep) -> list[Any]:
    """All blocks of the section, those inside folds too."""
    made = section(found, DRAWN)
    assert made is not None
    return list(_flat(made.blocks))


def _flat(blocks: Any) -> Iterator[Any]:
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from _flat(block.blocks)


def table(found: Sweep, caption: str) -> dict[str, list[str]]:
    """Row header -> texts of the other cells, of the only table with this caption."""
    tables = [b for b in blocks_of(found) if isinstance(b, Table) and b.caption == caption]
    assert len(tables) == 1, [b.caption for b in blocks_of(found) if isinstance(b, Table)]
    return {row[0].text: [" ".join(filter(None, (c.text, c.small))) for c in row[1:]] for row in tables[0].rows}


def texts(found: Sweep) -> str:
    return " ".join(b.text for b in blocks_of(found) if isinstance(b, Text))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    synthetic.write_sweep(root / "store", questions=8, seeds=(0,), top_tokens={"SFT": 300_000})
    return render_sweep(root / "store", "rl_algorithm", root / "reports").parent


def test_the_funnel_ends_in_each_round_chosen_from_the_same_pages() -> None:
    record = synthetic_corpus.corpus_record(rounds=2)
    record["funnel"] = [["records", 200], ["near_deduplicated", 100], ["decontaminated", 80], ["collected", 40]]
    record["rounds"][0]["pages"], record["rounds"][1]["pages"] = 20, 40
    assert table(sweep(run("a", record)), "From crawl to corpus") == {
        "records": ["200", "—"],
        "near-deduplicated": ["100", "50.0%"],
        "decontaminated": ["80", "80.0%"],
        "collected in round 1": ["20", "25.0%"],
        "collected in round 2, the last": ["40", "50.0%"],
    }


def test_the_loop_has_a_column_for_each_round() -> None:
    found = sweep(run("a", synthetic_corpus.corpus_record(rounds=3)))
    loop = table(found, "The loop, round by round")
    assert loop["Positives"] == ["620", "740", "860"]
    assert loop["Precision, held out"] == ["92.9% 91 of 98", "93.9% 92 of 98", "94.9% 93 of 98"]
    assert loop["Already collected in the round before"] == ["—", "94.0%", "96.0%"]
    assert loop["URL paths accepted"] == ["2", "2", "2"]
    assert loop["Collected pages inside them"] == ["1,001"] * 3
    hidden = table(found, "Against the miniature's hidden labels")
    assert hidden["Mathematical domains, share found"] == ["35.0% 7 of 20", "55.0% 11 of 20", "75.0% 15 of 20"]
    assert hidden["Mathematical pages, recall"][0] == "94.5% 887 of 939"


def test_without_hidden_labels_nothing_speaks_of_them() -> None:
    record, crawl = synthetic_corpus.corpus_record(), synthetic_corpus.crawl_record()
    record["truth"] = crawl["truth"] = None
    page = repr(blocks_of(sweep(run("a", record, crawl))))
    assert "hidden labels" not in page and "Not recorded" not in page
    assert "hidden labels" in repr(blocks_of(sweep(run("a", synthetic_corpus.corpus_record()))))


def test_arms_of_one_corpus_show_it_once_and_differences_come_first() -> None:
    small, large = synthetic_corpus.corpus_record(300_000), synthetic_corpus.corpus_record(1_200_000)
    found = sweep(
        run("half", small, key="k1", top_tokens=300_000, rounds=4),
        run("double", large, key="k2", top_tokens=1_200_000, rounds=4),
        run("again", small, key="k1", top_tokens=300_000, rounds=4),
    )
    assert [(c.label, c.arms) for c in corpora(found)] == [("half, again", ("half", "again")), ("double", ("double",))]
    assert varied(corpora(found)) == {"corpus.top_tokens": [300_000, 1_200_000]}
    made = section(found, {})
    assert made is not None
    first, *others = made.blocks
    assert isinstance(first, Table) and [name for name, _ in first.columns] == ["", "half, again", "double"]
    rows = {row[0].text: [c.text for c in row[1:]] for row in first.rows}
    assert rows["corpus.top_tokens"] == ["300,000", "1,200,000"] and "corpus.rounds" not in rows
    assert rows["Tokens collected"] == ["300,088", "1,200,088"]
    assert rows["Key of the crawl"] == ["c", "c"] and rows["Key of the corpus"] == ["k1", "k2"]
    assert [type(b) for b in others] == [Fold, Fold]
    assert sum(isinstance(b, Table) and b.caption == "Near-duplicates" for b in _flat(others)) == 1
    assert "those of the same crawl, shown under half, again" in texts(found)


def test_an_arm_whose_seeds_have_corpora_of_their_own_is_told_apart() -> None:
    record = synthetic_corpus.corpus_record()
    found = corpora(sweep(run("a", record, key="k1", seed=0), run("a", record, key="k2", seed=1)))
    assert [c.label for c in found] == ["a (seed 0)", "a (seed 1)"]


def test_arms_without_a_corpus() -> None:
    bare = Run("none", 0, (), {}, {}, {}, {}, None)
    assert section(sweep(bare), {}) is None
    assert "Arms that stand on this corpus: a." in texts(sweep(bare, run("a", synthetic_corpus.corpus_record())))


def test_a_crawl_whose_corpus_failed_is_shown_as_far_as_it_went() -> None:
    found = sweep(run("a", None))
    assert list(table(found, "From crawl to corpus"))[-1] == "near-deduplicated"
    assert table(found, "By language")["en"] == ["4,683", "2,494,000"]
    said = texts(found)
    assert "Not recorded: rounds, scores, mathematical domains, review decisions, decontamination." in said
    assert table(found, "Near-duplicates")["Pairs proposed by banding"] == ["421"]


def test_a_record_of_an_older_format_says_what_it_lacks() -> None:
    old = {
        "funnel": [["records", 6000], ["distinct_urls", 5886], ["collected", 2797]],
        "drops": {"near_duplicate": 388},
        "rounds": [{"round": 0, "positives": 5, "pages": 7, "overlap": None, "math_domains": 3}],
        "near_duplicates": {"proposed_pairs": 5},
        "benchmark": {"texts": 800, "too_short": 2, "pages": 60},
        "tokens": 600_088,
        "truth": {"leaks_removed": 40},
    }
    found = sweep(Run("a", 0, (), {}, {"corpus": "k"}, {}, {"corpus": artifact("corpus", "k", old)}, None))
    loop = table(found, "The loop, round by round")
    assert loop["Positives"] == ["5"] and loop["Already collected in the round before"] == ["—"]
    assert {loop[name][0] for name in ("Negatives", "Recall, held out", "URL paths proposed")} == {"not recorded"}
    assert table(found, "Decontamination") == {"All": ["—", "800", "2", "60"]}
    assert "Not recorded: scores, composition, mathematical domains, review decisions, duplicates." in texts(found)
    assert "Examples of dropped records: not recorded." in texts(found)


def test_any_part_of_a_record_may_be_missing_or_of_another_kind() -> None:
    """Every kind of leaf and branch in turn becomes something else; the section is still made."""
    crawl, record = _short(synthetic_corpus.crawl_record()), _short(synthetic_corpus.corpus_record(rounds=2))
    wrong: list[Any] = [None, "x", -1, [], {}, [None], [[1]], {"a": None}, True, 10**400, float("nan"), "\ud800"]
    rng = random.Random(0)
    found = sweep(run("a", record, crawl))
    seen: set[str] = set()
    for tree in (crawl, record):
        for place in list(_places(tree)):
            # members of a list are alike
            kind = re.sub(r"\b\d+\b", "#", "/".join(map(str, place)))
            if kind in seen:
                continue
            seen.add(kind)
            parent, whole = _at(tree, place[:-1]), _at(tree, place)
            for value in rng.sample(wrong, 3):
                parent[place[-1]] = value
                assert section(found, DRAWN) is not None
            parent[place[-1]] = whole
    assert len(seen) > 100


def _short(tree: Any) -> Any:
    """The same with at most two members of each list, for speed."""
    if isinstance(tree, dict):
        return {key: _short(value) for key, value in tree.items()}
    return [_short(value) for value in tree[:2]] if isinstance(tree, list) else tree


def _places(tree: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield (*prefix, key)
        yield from _places(child, (*prefix, key))


def _at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


@given(st.text(st.characters(categories=None), max_size=400))
def test_a_foreign_text_is_one_visible_line_that_can_be_written(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(c)[0] == "C" for c in shown)
    assert "`" not in shown and "\\|" not in shown and "\n" not in shown and len(shown) <= 240


def test_what_printable_escapes_can_be_read() -> None:
    assert printable("a\u202eb`c\\|d|e") == "a\\u202eb\\x60c\\x5c|d|e"
    assert printable("x" * 300) == "x" * 239 + "…"
    assert printable("\ud800 \n ok") == "\\ud800 ok"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.links: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name == "href"]


def test_addresses_and_texts_of_the_crawl_are_neither_markup_nor_links(rendered: Path) -> None:
    html = (rendered / "index.html").read_text(encoding="utf-8")
    tags = _Tags()
    tags.feed(html)
    # the answers that the page carries, and what shows them
    assert tags.tags["script"] == 2 and not tags.handlers
    assert not [link for link in tags.links if link.startswith(("http", "//", "javascript"))]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "\u202e" not in html


def test_markdown_keeps_the_crawl_in_code_spans(rendered: Path) -> None:
    from markdown_it import MarkdownIt

    markdown = (rendered / "report.md").read_text(encoding="utf-8")
    part = markdown[markdown.index("## Corpus") : markdown.index("## Paper beside ours")]
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(part)
    assert "evil.example" in html and "<a " not in html
    outside = re.sub(r"<code>.*?</code>", "", html)
    # GitHub makes a link of every bare address
    assert "://" not in outside and "www." not in outside and "script" not in outside and "evil" not in outside


def test_the_review_says_who_decided() -> None:
    record = synthetic_corpus.corpus_record()
    assert "No person looked at them" in texts(sweep(run("a", record)))
    for row in record["reviews"][:3]:
        row["by"] = "Ada"
    found = sweep(run("a", record))
    assert "8 of 28 reviewed URL paths were accepted. 25 were decided by rule (auto), not by a person." in texts(found)
    for row in record["reviews"]:
        row["by"] = "Ada"
    assert "8 of 28 reviewed URL paths were accepted; a person decided each." in texts(sweep(run("a", record)))
    record["reviews"] = []
    assert "No URL path was put up for review." in texts(sweep(run("a", record)))


def test_accepted_paths_come_first_within_their_round() -> None:
    record = synthetic_corpus.corpus_record()
    tables = [b for b in blocks_of(sweep(run("a", record))) if isinstance(b, Table) and "Reviewed" in b.caption]
    decisions = [(row[1].text, row[5].text) for b in tables for row in b.rows]
    assert decisions == sorted(decisions) and len(decisions) == 28


def test_long_tables_fold_and_the_longest_are_counted_only() -> None:
    record = synthetic_corpus.corpus_record()
    record["reviews"] = [{**record["reviews"][0], "path": f"/{i}/"} for i in range(5_000)]
    record["domains"] = [{**record["domains"][0], "domain": f"d{i}.example"} for i in range(5_000)]
    found = sweep(run("a", record))
    listed = [b for b in blocks_of(found) if isinstance(b, Table) and "Reviewed" in b.caption]
    assert [len(b.rows) for b in listed] == [OPEN_ROWS, MOST_ROWS - OPEN_ROWS]
    assert listed[1].note == "100 of 5,000 are listed; record.json has all of them."
    made = section(found, {})
    assert made is not None
    detail = made.blocks[-1]
    assert isinstance(detail, Fold)
    opened = [*made.blocks, *detail.blocks]
    assert all(len(b.rows) <= 20 for b in opened if isinstance(b, Table))
    folds = {b.summary for b in opened if isinstance(b, Fold)}
    assert {"4,990 more URL paths", "All 5,000 mathematical domains after the last round"} <= folds


def test_shares_of_the_composition_are_of_the_whole_corpus() -> None:
    record = synthetic_corpus.corpus_record()
    record["tokens"] = 1000
    record["composition"]["domain"] = [
        {"domain": "a.example", "pages": 10, "tokens": 900, "collected": 5, "collected_tokens": 250}
    ]
    record["composition"]["language"] = {
        "en": {"pages": 4, "tokens": 40, "collected": 1, "collected_tokens": 10},
        "": {"pages": 8, "tokens": 80, "collected": 6, "collected_tokens": 30},
    }
    found = sweep(run("a", record))
    assert table(found, "By domain") == {"a.example": ["10", "900", "5", "50.0%", "250", "25.0%"]}
    assert table(found, "By language") == {
        "not known": ["8", "80", "6", "75.0%", "30", "75.0%"],
        "en": ["4", "40", "1", "25.0%", "10", "25.0%"],
    }


def test_contamination_shows_its_evidence_and_what_went_unchecked() -> None:
    record = synthetic_corpus.corpus_record()
    found = sweep(run("a", record, decontamination={"unchecked": ["math/test"]}))
    assert table(found, "Decontamination")["gsm8k/test"] == ["fedcba9876543210", "1,319", "1,319", "0", "9"]
    assert "Not checked, because corpus.decontamination.unchecked names it: math/test." in texts(found)
    caption = "Evidence: pages removed, and what they share with a benchmark"
    (evidence,) = [b for b in blocks_of(found) if isinstance(b, Table) and b.caption == caption]
    assert [c.text for c in evidence.rows[1]][:7] == [
        "gsm8k/test 17 question", "https://leak0.example/", "90.0%", "31",
        "natalia sold 0 clips to 48 of her friends in", "1", "1",
    ]  # fmt: skip
    common = table(found, "N-grams of a benchmark that several pages have")
    assert common["gsm8k/test 17 question"][:3] == ["the sum of the first n natural numbers is n (", "14", "7"]
    # the record may also have no more than page, item and n-gram
    record["benchmark"] = {
        "names": ["gsm8k:test"], "by_benchmark": {"gsm8k:test": {"texts": 3, "too_short": 1, "pages": 2}}, "pages": 2,
        "examples": [{"url": "https://a.example/", "benchmark": "gsm8k:test:0", "ngram": "one two three"}],
    }  # fmt: skip
    found = sweep(run("a", record))
    assert table(found, "Decontamination") == {"gsm8k:test": ["—", "3", "1", "2"]}
    assert table(found, caption) == {"gsm8k:test:0": ["https://a.example/", "one two three"]}


def test_drops_are_all_there_with_examples() -> None:
    found = sweep(run("a", synthetic_corpus.corpus_record()))
    reasons = table(found, "Records dropped, by reason")
    assert len(reasons) == len(synthetic_corpus.REASONS) + 1
    assert list(reasons)[:3] == ["near duplicate", "duplicate url", "contaminated"]
    assert reasons["near duplicate"] == ["388", "6.5%"]
    examples = next(b for b in blocks_of(found) if isinstance(b, Table) and b.caption == "Examples of dropped records")
    assert len(examples.rows) == 3 * len(synthetic_corpus.REASONS) + 1
    assert [c.mono for c in examples.rows[0]] == [False, True, True, True]


def test_every_foreign_cell_is_a_code_span() -> None:
    """Any text of the records that looks like an address stands in a cell for code."""
    record = synthetic_corpus.corpus_record()
    for block in blocks_of(sweep(run("a", record))):
        if isinstance(block, Table):
            cells = [c for row in block.rows for c in row]
            assert not [c for c in cells if ".example" in c.text and not c.mono] and not [
                c for c in cells if ".example" in c.small
            ]
        elif isinstance(block, Text):
            assert ".example" not in block.text
        elif isinstance(block, Fold):
            assert ".example" not in block.summary


def test_several_corpora_have_figures_of_their_own(rendered: Path) -> None:
    names = sorted(p.name for p in rendered.glob("corpus-*.svg"))
    assert names == ["corpus-1-lengths.svg", "corpus-1-scores.svg", "corpus-2-lengths.svg", "corpus-2-scores.svg"]
    html = (rendered / "index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_histogram_that_does_not_fit_together_is_none() -> None:
    assert histogram({"edges": [0, 1, 2], "pages": [1, 2], "collected": [0, 1]}) is not None
    last_open = histogram({"edges": [0, 1], "pages": [1, 2], "collected": [0, 1]})
    assert last_open is not None and last_open.edges == (0.0, 1.0, None)
    for wrong in (
        None,
        {},
        {"edges": [0, 1, 2], "pages": [1, 2]},
        {"edges": [0, 1, 2], "pages": [1, 2], "collected": [1]},
        {"edges": [0, 2, 1], "pages": [1, 2], "collected": [0, 1]},
        {"edges": [0, None, 1], "pages": [1, 2], "collected": [0, 1]},
        {"edges": [], "pages": [], "collected": []},
    ):
        assert histogram(wrong) is None, wrong


def test_only_finite_numbers_are_numbers() -> None:
    assert number(3) == 3.0 and number(0.5) == 0.5
    assert [number(v) for v in (True, None, "3", float("inf"), float("nan"), 10**400, [])] == [None] * 7


def test_a_lone_surrogate_in_a_record_does_not_stop_the_page(tmp_path: Path) -> None:
    """JSON can hold half of a character; UTF-8 cannot."""
    index = synthetic.write_sweep(tmp_path, questions=8, seeds=(0,))
    record = synthetic_corpus.corpus_record()
    record["reviews"][0]["path"] = "/\ud800/"
    record["composition"]["source_type"]["\udfff"] = {"pages": 1}
    record["drops"]["\ud83d"] = 1
    key = index["arms"][0]["stages"]["corpus"]
    folder = tmp_path / "corpus" / key
    for name in ("record.json", "manifest.json"):
        (folder / name).unlink()
    (folder / "cost.json").unlink()
    folder.rmdir()
    synthetic.write_artifact(tmp_path, "corpus", key, {"record.json": record}, 0, 1)
    assert json.loads((folder / "record.json").read_text())["reviews"][0]["path"] == "/\ud800/"
    assert "\\ud800" in render_sweep(tmp_path, index["name"], tmp_path / "reports").read_text(encoding="utf-8")


def test_a_cell_with_nothing_in_it_is_a_dash() -> None:
    from dsm_repro.reporting.sections.corpus_cells import examples, foreign

    assert foreign("") == foreign(None) == examples([]) == Cell("—", tone="muted")
