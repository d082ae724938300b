"""Pages from synthetic records in a real browser: the machine's chromium, driven by Playwright.

Without Playwright, axe or chromium the tests are skipped and say what is missing; ``.ci/browser`` says it loudly.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import synthetic

from dsm_repro.reporting.render import render_sweep

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
#: before every question and completion: leaves an element, a string and an attribute where it can
HOSTILE = "</script><img src=x onerror=\"window.owned=1\"><svg onload='window.owned=1'></svg>${window.owned=1} "


@dataclass
class Opened:
    """A page, what its console said, and every address that it asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sweeps: hostile answers in two modes, a failed arm, and more arms than are shown at first."""
    root = tmp_path_factory.mktemp("browser")
    synthetic.write_sweep(root / "store", "rl_algorithm", questions=48, modes=("cot", "pot"), text=HOSTILE)
    arms = {f"arm{i}": 0.3 + 0.05 * i for i in range(8)}
    claim = {"title": "Eight arms", "comparisons": [{"a": "arm7", "b": "arm0", "expect": "b_greater"}]}
    synthetic.write_sweep(root / "store", "many", arms, seeds=(0,), questions=16, claim=claim, curves=())
    index = synthetic.write_sweep(root / "store", "failed", questions=16, seeds=(0, 1))
    for arm in index["arms"]:
        if arm["name"] == "PPO":
            arm["states"].update(rl="failed", evaluate="blocked")
            arm["error"] = {"stage": "rl", "message": "boom", "traceback": "Traceback (most recent call last)\nboom"}
    synthetic.write_index(root / "store", index)
    for name in ("rl_algorithm", "many", "failed"):
        render_sweep(root / "store", name, root / "reports")
    return root / "reports"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is on the PATH (apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install -r requirements-browser.lock")
    with sync_api.sync_playwright() as playwright:
        # chromium's own sandbox does not start for root
        started = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, reports: Path) -> Iterator[Callable[..., Opened]]:
    """``opened("many/index.html", width=390)``: a page of the reports in a context of its own."""
    with ExitStack() as stack:

        def open_page(name: str, width: int = 1280, **context: Any) -> Opened:
            # without smooth scrolling, so that a position is final
            made = browser.new_context(
                viewport={"width": width, "height": 900}, **{"reduced_motion": "reduce", **context}
            )
            made.set_default_timeout(10_000)
            stack.callback(made.close)
            found = Opened(made.new_page())
            made.route("**/*", lambda route: _only_files(route, found.requests))
            found.page.on("console", lambda m: found.errors.append(m.text) if m.type in ("error", "warning") else None)
            found.page.on("pageerror", lambda error: found.errors.append(str(error)))
            found.page.goto((reports / name).as_uri())
            return found

        yield open_page


def _only_files(route: Any, requests: list[str]) -> None:
    requests.append(route.request.url)
    if route.request.url.startswith("file:"):
        route.continue_()
    else:
        route.abort()
