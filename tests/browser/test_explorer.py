"""The explorer by mouse and by keyboard, its filters held against the export, and answers that attack the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAME = "rl_algorithm/index.html"


@pytest.fixture
def page(opened: Callable[..., Any]) -> Any:
    return opened(NAME).page


@pytest.fixture(scope="module")
def exported(reports: Path) -> dict[str, Any]:
    """The embedded answers as ``results.json`` has them."""
    content = json.loads((reports / "rl_algorithm" / "results.json").read_text())
    blocks = [block for section in content["sections"] for block in section["blocks"]]
    return next(block for block in blocks if block["kind"] == "explorer")


def _field(page: Any, name: str) -> Any:
    return page.locator(f".explorer form [name={name}]")


def _options(page: Any) -> Any:
    return page.get_by_role("listbox", name="Questions").get_by_role("option")


def _shown(page: Any) -> list[str]:
    """Ids of the questions that are listed."""
    return [option.get_attribute("id") for option in _options(page).all()]


def _voice(exported: dict[str, Any], arm: str, mode: str) -> int:
    return next(i for i, v in enumerate(exported["voices"]) if (v["arm"], v["mode"]) == (arm, mode))


def test_every_arm_stands_beside_the_others(page: Any, exported: dict[str, Any]) -> None:
    assert len(_shown(page)) == len(exported["questions"]) == 48
    _options(page).nth(5).click()
    question = exported["questions"][5]
    assert page.locator(".detail h3").inner_text() == question["question"].strip()
    articles = page.locator(".answers article")
    assert articles.count() == len(exported["voices"]) == 6
    for i, answer in enumerate(question["answers"]):
        text = articles.nth(i).inner_text()
        assert answer["completion"].strip() in text
        assert {"correct": "correct", "incorrect": "incorrect", "no_answer": "no answer"}[answer["status"]] in text
        for part in ("program", "output"):
            assert articles.nth(i).locator(f".{part}").count() == (part in answer)


def test_a_right_and_b_wrong_for_any_two_arms(page: Any, exported: dict[str, Any]) -> None:
    for a, b in ((("GRPO", "cot"), ("SFT", "cot")), (("SFT", "pot"), ("GRPO", "cot"))):
        right, wrong = _voice(exported, *a), _voice(exported, *b)
        _field(page, "right").select_option(label=", ".join(a))
        _field(page, "wrong").select_option(label=", ".join(b))
        expected = [
            f"question-{i}"
            for i, q in enumerate(exported["questions"])
            if q["answers"][right]["status"] == "correct" and q["answers"][wrong]["status"] != "correct"
        ]
        assert _shown(page) == expected and 0 < len(expected) < 48
        assert page.locator("[data-count]").inner_text().startswith(f"{len(expected)} of 48 questions")


def test_search_category_and_status_narrow_the_list_and_clear_opens_it(page: Any, exported: dict[str, Any]) -> None:
    questions = exported["questions"]
    _field(page, "category").select_option("Geometry")
    assert _shown(page) == [f"question-{i}" for i, q in enumerate(questions) if q["category"] == "Geometry"]
    _field(page, "status").select_option("no_answer")
    expected = [
        f"question-{i}"
        for i, q in enumerate(questions)
        if q["category"] == "Geometry" and any(a["status"] == "no_answer" for a in q["answers"])
    ]
    assert _shown(page) == expected
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("document.querySelectorAll('[role=option]').length === 48")
    _field(page, "text").fill("7 times 13 modulo")
    assert _shown(page) == ["question-13"]
    _field(page, "text").fill("nobody asked this")
    assert _shown(page) == [] and "No question fits" in page.locator(".detail").inner_text()


def test_keyboard_alone_is_enough(page: Any) -> None:
    _field(page, "text").focus()
    passed = []
    while page.evaluate("document.activeElement.getAttribute('role')") != "listbox":
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
        style = "getComputedStyle(document.activeElement)"
        assert (
            page.evaluate(f"{style}.outlineStyle") != "none" and page.evaluate(f"parseFloat({style}.outlineWidth)") >= 2
        )
        assert len(passed) < 12
    assert passed[:5] == ["category", "status", "right", "wrong", "Clear"], "focus goes in the order of reading"

    def active() -> str:
        chosen = page.locator('[role=option][aria-selected="true"]')
        assert chosen.count() == 1
        assert page.get_by_role("listbox").get_attribute("aria-activedescendant") == chosen.get_attribute("id")
        return str(chosen.get_attribute("id"))

    at = page.evaluate("scrollY")
    keys = (("ArrowDown", 1), ("j", 2), ("j", 3), ("k", 2), ("ArrowUp", 1), ("End", 47), ("j", 47), ("PageUp", 37))
    for key, expected in (*keys, ("Home", 0), ("k", 0)):
        page.keyboard.press(key)
        assert active() == f"question-{expected}", key
        assert page.locator('[aria-selected="true"]').is_visible()
        number = f"What is 7 times {expected} modulo"
        assert number in page.locator(".detail h3").inner_text()
    assert page.evaluate("scrollY") == at, "the list scrolls, the page does not"
    # letters typed into the search are letters
    _field(page, "text").focus()
    page.keyboard.type("jk")
    assert _field(page, "text").input_value() == "jk"


def test_of_many_arms_some_are_shown_and_the_others_can_be(opened: Callable[..., Any]) -> None:
    page = opened("many/index.html").page
    assert page.locator(".answers article").count() == 6
    page.get_by_text("Arms shown: 6 of 8").click()
    page.get_by_role("checkbox", name="arm7").check()
    page.get_by_role("checkbox", name="arm0").uncheck()
    names = page.locator(".answers h4").all_inner_texts()
    assert "arm7" in names and "arm0" not in names
    # a filter shows the arms that it is about
    _field(page, "wrong").select_option(label="arm0")
    assert "arm0" in page.locator(".answers h4").all_inner_texts()


def test_what_a_model_wrote_is_text(page: Any) -> None:
    for i in (0, 7, 20):
        _options(page).nth(i).click()
        assert '<img src=x onerror="window.owned=1">' in page.locator(".detail pre").first.inner_text()
    _field(page, "text").fill("<img")
    assert len(_shown(page)) == 48
    assert page.locator("img").count() == 0 and page.locator("[onload], [onerror]").count() == 0
    assert page.evaluate("window.owned") is None


def test_the_policy_stops_what_would_slip_through(opened: Callable[..., Any]) -> None:
    found = opened(NAME)
    found.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned=1\">')")
    found.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.owned=1'}))"
    )
    found.page.wait_for_timeout(100)
    assert found.page.evaluate("window.owned") is None
    assert any("Content Security Policy" in text for text in found.errors)


def test_without_javascript_the_page_is_whole_and_readable(opened: Callable[..., Any]) -> None:
    page = opened(NAME, java_script_enabled=False).page
    assert not page.locator(".explorer").is_visible()
    assert page.get_by_text("where JavaScript is allowed").is_visible()
    fold = page.locator("[data-fallback] details").first
    fold.locator("summary").click()
    assert "gold" in fold.locator("pre").inner_text()
