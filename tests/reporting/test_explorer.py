"""Which answers a page carries, and that what a model wrote stays text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import synthetic

from dsm_repro.reporting import explorer, measures, records
from dsm_repro.reporting.render import render_sweep

HOSTILE = "</script><img src=x onerror=alert(1)> &amp; \u2028\u2029 <!--<script> \ud83d"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> measures.Results:
    store = tmp_path_factory.mktemp("explorer")
    synthetic.write_sweep(store)
    return measures.results(records.read_sweep(store, "rl_algorithm"))


def _statuses(question: dict[str, Any]) -> set[bool]:
    return {a["status"] == "correct" for a in question["answers"] if a}


def test_all_questions_where_there_is_room_in_the_order_they_were_asked(found: measures.Results) -> None:
    chosen = explorer.choose(found)
    assert chosen is not None and chosen.questions == chosen.of_questions == 160
    assert [q["id"] for q in chosen.data["questions"]] == list(found.measured["SFT", "cot"].questions)
    for q in chosen.data["questions"]:
        for voice, answer in zip(chosen.data["voices"], q["answers"], strict=True):
            m = found.measured[voice["arm"], voice["mode"]]
            assert (answer["status"] == "correct") == bool(m.right[0, m.questions.index(q["id"])])
            assert answer["right"] == m.right[:, m.questions.index(q["id"])].sum()


def test_three_of_four_places_go_to_disagreements_and_categories_take_turns(found: measures.Results) -> None:
    chosen = explorer.choose(found, most=32)
    assert chosen is not None and (chosen.questions, chosen.split) == (32, 24)
    split = [q for q in chosen.data["questions"] if len(_statuses(q)) == 2]
    assert len(split) == 24
    of_category = [q["category"] for q in split]
    assert {of_category.count(name) for name in synthetic.CATEGORIES} == {3}


def test_the_embedded_bytes_are_bounded(found: measures.Results) -> None:
    chosen = explorer.choose(found, most_bytes=9_000)
    assert chosen is not None and 5 < chosen.questions < 40
    assert len(explorer.script(chosen.data)) < 9_000 + 1_000


def test_a_long_text_is_cut_and_says_so(found: measures.Results) -> None:
    row = dict(found.measured["SFT", "cot"].samples[0])
    q = next(iter(row))
    before = row[q]["completion"]
    row[q]["completion"] = "x" * 10_000
    chosen = explorer.choose(found)
    row[q]["completion"] = before
    assert chosen is not None
    text = next(e for e in chosen.data["questions"] if e["id"] == q)["answers"][0]["completion"]
    assert len(text) < 4_100 and text.endswith("6,000 more characters]")


def test_a_script_element_cannot_be_left() -> None:
    text = explorer.script({"completion": HOSTILE})
    assert text.isascii() and not set("<>&") & set(text)
    assert json.loads(text) == {"completion": HOSTILE}


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_hostile_answers_leave_the_page_as_it_was(tmp_path: Path) -> None:
    synthetic.write_sweep(tmp_path / "store", questions=8, seeds=(0,), text=HOSTILE)
    page = render_sweep(tmp_path / "store", "rl_algorithm", tmp_path / "reports").read_text()
    parser = _Scripts()
    parser.feed(page)
    assert [a.get("type") for tag, a in parser.tags if tag == "script"] == ["application/json", None]
    assert not [a for _, a in parser.tags if any(name.startswith("on") for name in a)]
    assert "img" not in {tag for tag, _ in parser.tags}
    markdown = (tmp_path / "reports" / "rl_algorithm" / "report.md").read_text()
    assert "<img" not in markdown and "<script" not in markdown
