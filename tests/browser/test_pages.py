"""Every page opens, loads nothing, is accessible, fits a phone, and prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGES = ("index.html", "rl_algorithm/index.html", "many/index.html", "failed/index.html")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_an_error_and_asks_for_nothing(
    opened: Callable[..., Any], reports: Path, name: str
) -> None:
    found = opened(name)
    found.page.mouse.wheel(0, 5_000)
    found.page.wait_for_timeout(50)
    assert found.errors == []
    assert found.requests == [(reports / name).as_uri()]
    assert found.page.locator("h1").count() == 1


def test_a_request_would_be_noticed(opened: Callable[..., Any]) -> None:
    """The check above can fail: an address outside is seen, stopped, and an error on the console."""
    found = opened("index.html", bypass_csp=True)
    found.page.set_content('<img src="http://example.invalid/x.png">')
    found.page.wait_for_timeout(50)
    assert "http://example.invalid/x.png" in found.requests and found.errors


def test_the_front_page_leads_to_every_report(opened: Callable[..., Any]) -> None:
    page = opened("index.html").page
    links = page.locator(".claim h2 a")
    assert links.count() == 3
    for i in range(3):
        box = links.nth(i).bounding_box()
        assert box is not None and box["height"] >= 20
    assert page.locator("svg.effect").count() == 3 + 1 + 1, "one bar for each comparison that could be measured"
    assert page.get_by_text("2 of 6 runs have no result").is_visible()
    links.filter(has_text="Eight arms").click()
    assert page.title().startswith("Eight arms")


def test_plots_have_a_size_and_a_text_alternative(opened: Callable[..., Any]) -> None:
    page = opened("rl_algorithm/index.html").page
    plots = page.locator("figure > svg[role=img]").filter(visible=True)
    assert plots.count() >= 6
    for i in range(plots.count()):
        box = plots.nth(i).bounding_box()
        assert box is not None and box["width"] > 200 and box["height"] > 80
        assert len(plots.nth(i).get_attribute("aria-label") or "") > 20


@pytest.mark.parametrize(
    ("name", "scheme"), [(name, scheme) for name in PAGES[:2] for scheme in ("light", "dark")] + [(PAGES[3], "light")]
)
def test_axe_finds_no_violation(opened: Callable[..., Any], name: str, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -r requirements-browser.lock"
    )
    page = opened(name, color_scheme=scheme).page
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", dark))) < 200) == (scheme == "dark")
    # what is folded away is read too, and arms that are not shown at first
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    for violation in axe.Axe().run(page).response["violations"]:
        nodes = [f"{node['target']}: {node['failureSummary']}" for node in violation["nodes"][:3]]
        pytest.fail(f"{violation['id']} ({len(violation['nodes'])} times): {violation['help']}\n" + "\n".join(nodes))


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [390, 768])
def test_no_page_scrolls_sideways(opened: Callable[..., Any], name: str, width: int) -> None:
    page = opened(name, width=width).page
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES[:2])
def test_a_page_prints_light_and_with_its_content(opened: Callable[..., Any], name: str) -> None:
    found = opened(name, color_scheme="dark")
    found.page.emulate_media(media="print")
    ground = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert not found.page.locator("nav, .explorer").filter(visible=True).count()
    if name != "index.html":
        assert found.page.locator("[data-fallback] details").first.is_visible(), "answers are printed, not searched"
        assert found.page.locator("figure > svg").first.is_visible()
    assert len(found.page.pdf(format="A4")) > 10_000
    assert found.errors == []
