"""What mkdocs cannot do by itself: pages that lie outside ``docs/``, and a site that asks nothing of the network.

A link in a page is the one that works in a checkout (``../CONTRIBUTING.md``). Where it leaves ``docs/``, the site has
the file at another place; a link to a file that the site does not have ends the build, as mkdocs' own dead links do.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
#: files outside docs/ that are pages of the site -> where
PAGES = {"CONTRIBUTING.md": "project/contributing.md", "benchmarks/README.md": "project/benchmarks.md"}
#: copied as it is
REPORTS = "reports"
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|link(?![^>]*rel="?canonical))\b[^>]*?(?:src|href)=["']?(https?:[^"'> ]+)"""
)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and the reports."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for path in sorted((ROOT / REPORTS).rglob("*")):
        # report.md and README.md are index.html, for GitHub
        if path.is_file() and path.suffix != ".md":
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point the links that cross the border of ``docs/`` to where the site has the file."""
    uri = page.file.src_uri
    source = next((path for path, there in PAGES.items() if there == uri), f"docs/{uri}")
    return _LINK.sub(lambda found: _target(found[1], source, uri), markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page that would load something from elsewhere."""
    if found := _FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri}: the page would load {found[1]}. Put the file under docs/.")
    return output


def _target(link: str, source: str, uri: str) -> str:
    """``link``, as it stands in the file ``source`` of the repository, for the page ``uri`` of the site."""
    if ":" in link:
        return link
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    inside = wanted.removeprefix("docs/")
    if inside != wanted:
        there = inside
    elif wanted in PAGES:
        there = PAGES[wanted]
    elif wanted == "README.md":
        there = "index.md"
    elif wanted.startswith(f"{REPORTS}/"):
        there = posixpath.join(posixpath.dirname(wanted), "index.html") if wanted.endswith(".md") else wanted
    else:
        raise PluginError(
            f"{source}: the link {link} leads to {wanted}, which the site does not have. "
            "Write the path as code, or publish the file in docs/tools/site.py."
        )
    return posixpath.relpath(there, posixpath.dirname(uri) or ".")
