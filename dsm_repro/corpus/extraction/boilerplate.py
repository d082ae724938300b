"""What the main-content rules of resiliparse are told beforehand: what to skip, and what not to take for a menu.

Its rules were made for articles. On pages of mathematics they drop every ``<ul>`` near the body, every text
node that is one sign (the ``≤`` of ``<i>x</i> ≤ <i>y</i>``), figures and labels, and a section on modal logic
or binary search for its anchor's name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

    from dsm_repro.corpus.extraction.formulas import Formulas

#: CSS selectors of what is not text, besides what the main-content rules find
SKIPPED = (
    "nav", "footer", "aside", "[role=navigation]", "[role=contentinfo]", "[role=search]",
    ".breadcrumb", ".breadcrumbs", ".navbar", ".navheader", ".navfooter", ".sphinxsidebar", ".sidebar",
    ".share", ".sharing", ".social-share", ".share-buttons", ".sharedaddy",
    ".cookie", ".cookies", ".cookie-notice", ".cookie-banner", ".cookie-consent", "#cookie-notice", "#cookie-banner",
    ".related-posts", ".related-articles", ".related-links", ".recommended", "#related",
    ".headerlink", ".viewcode-link", ".copiable-anchor", ".mw-editsection", ".printfooter", ".catlinks", ".navbox",
)  # fmt: skip
#: markup whose content never is text; option lists also take the second parser quadratic time
_REMOVED = (
    "style", "select", "datalist", "textarea", "input", "button", "template", "iframe", "frame", "object", "embed",
    "svg", "audio", "video", "canvas", "noscript", "script",
)  # fmt: skip
#: HTML parsers reopen these after every paragraph, which multiplies a hostile page; only their text is wanted
_FORMATTING = ("b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
#: a list with a larger share of its text in links is a menu or an index: the rules decide
_MAX_LINK_SHARE = 0.5
#: what names a part of the layout in an ``id``, and now and then a theorem's section
_LAYOUT_NAME = re.compile(
    r"nav|menu|head|foot|side|right|search|modal|popup|lightbox|gallery|carousel|relat|recommend|featur|popular|trend"
    r"|editor|comment|reply|legal|consent|cookie|copyright|logo|brand|ads?\b|advert|sponsor|promot|paid|banner|donat"
    r"|print|pagina|next|prev|skip|scroll|link|drop|bread|read",
    re.IGNORECASE,
)
_ANCHORED = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "dl", "dt", "dd", "tr", "td", "th"))
_SECTIONS = frozenset(("section", "article"))
#: what the links of a bar between the pages of a manual or a course are called
_TURN_PAGE = frozenset((
    "next", "previous", "prev", "up", "top", "home", "contents", "index", "back", "forward", "top of book",
    "next chapter", "previous chapter", "next page", "previous page", "next section", "previous section",
    "table of contents", "main page", "back to top", "下一页", "上一页", "目录", "首页", "weiter", "zurück", "suivant",
    "précédent", "siguiente", "anterior",
))  # fmt: skip
_TURN_WORD = re.compile(r"\b(?:next|prev(?:ious)?|up|goto|go to|chapter|section|page)\b", re.IGNORECASE)
#: a formula, or the placeholder of one
_MATHEMATICS = re.compile(r"[=$\\^+]|Qmx")
#: such a bar has no more letters than this outside its links, and is no longer than this
_BAR_LETTERS, _BAR_CHARACTERS = 12, 800
#: lists fewer elements below the body than this are dropped whatever they hold
_LIST_DEPTH = 4
#: signs that a page may hold and lxml lets nobody write
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: the rules compare bytes: one sign of three bytes, alone in its text node, passes for an icon
_LONE_SIGN = re.compile("(?<=>)([ \t\r\n]*)([\u0800-\ufffd])(?=[ \t\r\n]*<)")


def simplify(body: etree._Element, lowered: str) -> None:
    """Take out what is no text and shield what is, in place. ``lowered`` is the page's lower-cased source."""
    from lxml import etree

    etree.strip_tags(body, *_FORMATTING)
    etree.strip_elements(body, *_REMOVED, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    if "<label" in lowered or "<time" in lowered:
        for node in body.iter("label", "time"):
            node.tag = "span"
    if "<img" in lowered:
        # with alternative texts on, figures and captions count as text; a picture's own text does not
        for node in body.iter("img", "area"):
            node.attrib.pop("alt", None)
    if "presentation" in lowered:
        for node in body.iter("table", "div"):
            if node.get("role") == "presentation":
                del node.attrib["role"]
    if "classifier" in lowered:
        # docutils: the colon between a term and its type comes from the style sheet
        for node in body.iter("span"):
            if node.get("class") == "classifier":
                node.text = f" : {_legal(node.text)}"
    if "<q" in lowered:
        for node in body.iter("q"):
            node.text, node.tail = f"“{_legal(node.text)}", f"”{_legal(node.tail)}"
    _remove_page_bars(body)
    for node in _xpath(".//*[@id]")(body):
        if _LAYOUT_NAME.search(node.get("id")) and _is_anchor(node):
            del node.attrib["id"]
    for node in list(body.iter("ul")):
        if _is_content(node):
            _shield_list(node)


def shield_lone_signs(marked: str, formulas: Formulas) -> str:
    """The serialised page with a placeholder for every sign that is alone in its text node."""
    return _LONE_SIGN.sub(lambda match: match.group(1) + formulas.placeholder(match.group(2)), marked)


@lru_cache
def _xpath(expression: str) -> etree.XPath:
    from lxml import etree

    return etree.XPath(expression)


def _remove_page_bars(body: etree._Element) -> None:
    seen: set[etree._Element] = set()
    for link in list(body.iter("a")):
        text = "".join(link.itertext()) if len(link) else link.text or ""
        if text.strip(" \t\n\xa0[]()<>«»←→:").lower() not in _TURN_PAGE:
            continue
        bar = next(link.iterancestors("p", "div", "table", "center", "h6"), None)
        if bar is None or bar in seen:
            continue
        seen.add(bar)
        if _characters(bar) > _BAR_CHARACTERS:
            continue
        linked = {part for inner in bar.iter("a") for part in inner.itertext()}
        rest = _TURN_WORD.sub("", " ".join(part for part in bar.itertext() if part not in linked))
        if sum(map(str.isalpha, rest)) <= _BAR_LETTERS and not _MATHEMATICS.search(rest):
            bar.clear(keep_tail=True)


def _is_anchor(node: etree._Element) -> bool:
    """Whether an element's ``id`` was made from a title, and says nothing of the page's layout."""
    if node.tag in _ANCHORED:
        return True
    named = node.tag in _SECTIONS or (node.tag == "div" and "sect" in (node.get("class") or ""))
    return named and _is_content(node)


def _is_content(node: etree._Element) -> bool:
    text = _characters(node)
    return text > 0 and sum(map(_characters, node.iter("a"))) <= _MAX_LINK_SHARE * text


def _legal(text: str | None) -> str:
    return _ILLEGAL.sub("", text or "")


def _characters(node: etree._Element) -> float:
    found: float = _xpath("string-length()")(node)
    return found


def _shield_list(node: etree._Element) -> None:
    from lxml import etree

    for link in node.iter("a"):
        link.tag = "span"
    depth = next((level for level, parent in enumerate(node.iterancestors(), 1) if parent.tag == "body"), _LIST_DEPTH)
    if depth >= _LIST_DEPTH:
        return
    outer = inner = etree.Element("div")
    for _ in range(_LIST_DEPTH - 1 - depth):
        inner = etree.SubElement(inner, "div")
    outer.tail, node.tail = _legal(node.tail), None
    node.addprevious(outer)
    inner.append(node)
