"""Renders a sweep's records to ``reports/<name>/``: HTML, Markdown, JSON, CSV and SVG, and the front page over all.

A pure function of the store: the same records give the same bytes, whatever the day or the machine.
"""

from __future__ import annotations

import base64
import hashlib
import html
import logging
import os
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import StoreError
from dsm_repro.reporting import bars, export, front, plots, tables, verdict
from dsm_repro.reporting import page as pages
from dsm_repro.reporting.blocks import Explorer
from dsm_repro.reporting.measures import results
from dsm_repro.reporting.records import read_sweep

logger = logging.getLogger(__name__)

ICONS = {
    verdict.REPRODUCED: "✓",
    verdict.DIRECTION_ONLY: "↗",
    verdict.INCONCLUSIVE: "?",
    verdict.CONTRADICTED: "✗",
    verdict.DESCRIPTIVE: "≡",
}


def render_sweep(store_root: Path, name: str, reports_dir: Path) -> Path:
    """Render one sweep, and the front page over the reports that are there; returns the path of its ``index.html``.

    Raises ``DataError`` if the store has no such sweep, ``StoreError`` if its index cannot be read or the
    report cannot be written, ``ConfigError`` if the claim refers to an id that the ledger does not have.
    """
    _render(Path(store_root), name, Path(reports_dir))
    render_front(Path(reports_dir))
    return Path(reports_dir) / name / "index.html"


def render_front(reports_dir: Path) -> Path:
    """``index.html``, ``README.md`` and ``claims.svg`` over the reports in ``reports_dir``."""
    found = front.read(reports_dir)
    context = {"front": found, "icons": ICONS, "style": _asset("style.css"), "policy": _policy()}
    environment = _environment()
    content = {
        "index.html": environment.get_template("front.html.j2").render(context),
        "README.md": _tidy(environment.get_template("front.md.j2").render(context)),
        "claims.svg": bars.figure(front.groups(found)),
    }
    _write(reports_dir, content)
    return reports_dir / "index.html"


def _render(store_root: Path, name: str, reports_dir: Path) -> None:
    from threadpoolctl import threadpool_limits

    sweep = read_sweep(store_root, name)
    for message in sweep.damage():
        logger.warning("%s: not used in the report of %s: %s", store_root, name, message)
    # the bootstrap's products are small: on a loaded machine a second thread makes them ten times slower
    with threadpool_limits(1, "blas"):
        found = results(sweep)
        drawn = pages.figures(sweep, found)
        page = pages.build(sweep, found, drawn)
        exported = export.results_json(sweep, found, page)
    script = _asset("explorer.js") if any(isinstance(b, Explorer) for s in page.sections for b in s.blocks) else ""
    context = {
        "page": page,
        "figures": drawn,
        "icons": ICONS,
        "verdicts": tuple(ICONS),
        "style": _asset("style.css"),
        "script": script,
        "policy": _policy(script),
    }
    environment = _environment()
    content = {
        "index.html": environment.get_template("page.html.j2").render(context),
        "report.md": _tidy(environment.get_template("page.md.j2").render(context)),
        "results.json": exported,
        "arms.csv": tables.arms_csv(sweep, found),
        "comparisons.csv": tables.comparisons_csv(found),
        "categories.csv": tables.categories_csv(found),
        "answers.csv": tables.answers_csv(found),
        "curves.csv": tables.curves_csv(sweep),
        **{file: plots.standalone(svg) for file, svg in drawn.items()},
    }
    folder = reports_dir / name
    _write(folder, content)
    # a figure of an earlier rendering that this one no longer has would be committed with it
    for stale in set(folder.glob("*.svg")) - {folder / file for file in content}:
        stale.unlink(missing_ok=True)


def _policy(script: str = "") -> str:
    """The page's Content-Security-Policy: it loads nothing, and runs its own script and no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("dsm_repro.reporting", "templates"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        inline_svg=_inline_svg, bar=_bar, md_cell=_md_cell, md_small=_md_small, md_html=html.escape
    )
    return environment


@lru_cache(maxsize=2)
def _asset(name: str) -> Any:
    from markupsafe import Markup

    return Markup(files("dsm_repro.reporting").joinpath(f"templates/{name}").read_text(encoding="utf-8"))


def _bar(effect: bars.Effect, reach: float) -> Any:
    from markupsafe import Markup

    return Markup(bars.bar(effect, reach))


def _inline_svg(svg: str, alt: str) -> Any:
    """The figure as part of the page, named for a screen reader."""
    from markupsafe import Markup

    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1))


def _md_cell(text: object) -> str:
    """Text that stays inside its table cell and is not read as markup."""
    flat = " ".join(str(text).split())
    return flat.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _md_small(text: str) -> str:
    """What the page prints smaller: intervals and errors as they are, everything else in brackets."""
    return _md_cell(text if text.startswith(("[", "±")) else f"({text})")


def _tidy(text: str) -> str:
    """No trailing spaces, no runs of empty lines (verbatim blocks have none worth keeping)."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"


def _write(folder: Path, content: dict[str, str]) -> None:
    """Write the files whole, each by an atomic rename, so that a reader never sees half a page."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in content.items():
            # a name of this process's own: two sweeps that end together both rebuild the front page
            partial = folder / f".{name}.{os.getpid()}.partial"
            try:
                # half of a surrogate pair, which a model may write, has no UTF-8: it is spelled out
                partial.write_bytes(text.encode("utf-8", "backslashreplace"))
                partial.replace(folder / name)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{folder}: cannot write the report ({why}). Set paths.reports to a folder.") from error
