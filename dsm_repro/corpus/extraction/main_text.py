"""Main text of an HTML page: resiliparse's main-content rules, with the formulas behind placeholders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.corpus.extraction.guards import check_depth, check_source

if TYPE_CHECKING:
    from dsm_repro.corpus.extraction.formulas import Formulas

#: with a smaller share of the page's formulas in it, the main text is not the main text
MIN_FORMULAS_KEPT = 0.5
#: fewer formulas tell nothing
MIN_FORMULAS = 3
_RAW_TEX = re.compile(r"\\[(\[]|\\begin\{|\$")
_BLANK_LINES = re.compile(r"\n{3,}")
#: control signs, signs of no width, and the private signs of icon fonts
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\xad\u200b\ufeff\ue000-\uf8ff]")


def main_text(html: str, limits: ExtractionConfig | None = None) -> str:
    """Main text of an HTML page: paragraphs on lines, formulas as TeX, navigation and notices removed.

    Raises:
        ValueError: the parser finds no document in it. PageRefusedError: it is past a limit.
    """
    from lxml import etree

    from dsm_repro.corpus.extraction.boilerplate import shield_lone_signs, simplify
    from dsm_repro.corpus.extraction.formulas import Formulas, replace_formulas

    if not html or html.isspace():
        return ""
    limits = limits or ExtractionConfig()
    elements = check_source(html)
    # bytes, because a text with an XML encoding declaration is refused
    source = html.encode("utf-8", "replace")
    # the parser's own depth limit cuts the page off without a word: ours is checked on the tree
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        root = etree.fromstring(source, parser)
    except etree.LxmlError as error:
        raise ValueError(str(error)) from error
    if root is None:
        raise ValueError("no element in it")
    check_depth(root, elements, limits.max_depth)
    body = root.find("body")
    body = root if body is None else body
    lowered = html.lower()
    formulas = Formulas.of(source)
    replace_formulas(body, lowered, formulas)
    simplify(body, lowered)
    marked = shield_lone_signs(etree.tostring(root, encoding="unicode", method="html"), formulas)
    text = _plain(marked, main_content=True)
    wanted = _formulas_in(marked, formulas)
    if wanted >= MIN_FORMULAS and _formulas_in(text, formulas) < MIN_FORMULAS_KEPT * wanted:
        text = _plain(marked, main_content=False)
    return tidy(formulas.restore(text))


def tidy(text: str) -> str:
    """Signs that cannot be seen, trailing blanks and runs of empty lines removed."""
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip()


def _plain(marked: str, *, main_content: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    from dsm_repro.corpus.extraction.boilerplate import SKIPPED

    return extract_plain_text(
        marked, preserve_formatting=True, main_content=main_content, alt_texts=True, skip_elements=SKIPPED
    )


def _formulas_in(text: str, formulas: Formulas) -> int:
    return formulas.kept(text) + len(_RAW_TEX.findall(text))
