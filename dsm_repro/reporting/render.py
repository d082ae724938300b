"""Renders a sweep's records to ``reports/<name>/``: HTML, Markdown, CSV and SVG.

A pure function of the store: the same records give the same bytes, whatever the day or the machine.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import StoreError
from dsm_repro.reporting import page as pages
from dsm_repro.reporting import plots, tables, verdict
from dsm_repro.reporting.blocks import Page
from dsm_repro.reporting.measures import results
from dsm_repro.reporting.records import read_sweep, sweep_names

ICONS = {
    verdict.REPRODUCED: "✓",
    verdict.DIRECTION_ONLY: "↗",
    verdict.INCONCLUSIVE: "?",
    verdict.CONTRADICTED: "✗",
    verdict.DESCRIPTIVE: "≡",
}


def render_sweep(store_root: Path, name: str, reports_dir: Path) -> Path:
    """Render one sweep; returns the path of its ``index.html``.

    Raises ``DataError`` if the store has no such sweep, ``StoreError`` if its index cannot be read or the
    report cannot be written, ``ConfigError`` if the claim refers to an id that the ledger does not have.
    """
    _render(Path(store_root), name, Path(reports_dir))
    return Path(reports_dir) / name / "index.html"


def render_all(store_root: Path, reports_dir: Path) -> list[Path]:
    """Render every sweep of the store, and ``reports/index.html`` over all of them."""
    names = sweep_names(Path(store_root))
    rendered = [_render(Path(store_root), name, Path(reports_dir)) for name in names]
    overview = _environment().get_template("overview.html.j2").render(pages=rendered, icons=ICONS, style=_style())
    _write(Path(reports_dir), {"index.html": overview})
    return [Path(reports_dir) / name / "index.html" for name in names]


def _render(store_root: Path, name: str, reports_dir: Path) -> Page:
    sweep = read_sweep(store_root, name)
    found = results(sweep)
    drawn = pages.figures(sweep, found)
    page = pages.build(sweep, found, drawn)
    context = {"page": page, "figures": drawn, "icons": ICONS, "verdicts": tuple(ICONS), "style": _style()}
    environment = _environment()
    content = {
        "index.html": environment.get_template("index.html.j2").render(context),
        "report.md": _tidy(environment.get_template("report.md.j2").render(context)),
        "arms.csv": tables.arms_csv(sweep, found),
        "comparisons.csv": tables.comparisons_csv(found),
        "categories.csv": tables.categories_csv(found),
        **{file: plots.standalone(svg) for file, svg in drawn.items()},
    }
    folder = reports_dir / name
    _write(folder, content)
    # a figure of an earlier rendering that this one no longer has would be committed with it
    for stale in set(folder.glob("*.svg")) - {folder / file for file in content}:
        stale.unlink()
    return page


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("dsm_repro.reporting", "templates"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(inline_svg=_inline_svg, md_cell=_md_cell, md_small=_md_small, md_html=html.escape)
    return environment


@lru_cache(maxsize=1)
def _style() -> Any:
    from markupsafe import Markup

    return Markup(files("dsm_repro.reporting").joinpath("templates/style.css").read_text(encoding="utf-8"))


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
            partial = folder / f".{name}.partial"
            partial.write_text(text, encoding="utf-8", newline="\n")
            partial.replace(folder / name)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{folder}: cannot write the report ({why}). Set paths.reports to a folder.") from error
