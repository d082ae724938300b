"""From a raw page to its main text, with the mathematics kept and the boilerplate gone."""

from __future__ import annotations

import re

from dsm_repro.corpus.pages import Drop, Page, RawPage
from dsm_repro.corpus.tokens import count_tokens
from dsm_repro.corpus.url import clean, domain

#: what the main-content heuristics leave in
_SKIPPED = ["nav", "footer", "aside", "[role=navigation]", ".share", ".social-share", ".sharedaddy", ".breadcrumb"]
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")


def decode(body: bytes | str, charset: str | None) -> str:
    """Text of a page: the declared charset if there is one, else the page's own (meta tag, then detection)."""
    if isinstance(body, str):
        return body
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    if not charset:
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError:
            charset = detect_encoding(body, from_html_meta=True) or "utf-8"
    if charset.lower().replace("_", "-") in ("utf-8", "utf8"):
        # a few bad bytes must not turn the whole page into another encoding
        return body.decode("utf-8-sig", "replace")
    return bytes_to_str(body, charset)


def main_text(html: str) -> str:
    """Main text of an HTML page: paragraphs on lines, formulas as TeX, navigation and notices removed.

    Raises:
        ValueError: the parser finds no document in it.
    """
    from lxml import etree
    from lxml import html as lxml_html
    from resiliparse.extract.html2text import extract_plain_text

    from dsm_repro.corpus.formulas import Formulas, free_mark, replace_formulas

    formulas = Formulas(free_mark(html))
    try:
        # bytes, because a text with an XML encoding declaration is refused
        parser = lxml_html.HTMLParser(encoding="utf-8")
        root = lxml_html.document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError as error:
        raise ValueError(str(error)) from error
    replace_formulas(root, formulas)
    marked = lxml_html.tostring(root, encoding="unicode")
    text = extract_plain_text(
        marked, preserve_formatting=True, main_content=True, alt_texts=False, skip_elements=_SKIPPED
    )
    return tidy(formulas.restore(text))


def tidy(text: str) -> str:
    """Trailing blanks and runs of empty lines removed."""
    lines = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").replace("\x00", "").split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()


def extract(raw: RawPage) -> Page | Drop:
    """The page with its text, or why there is none."""
    url = clean(raw.url)
    if url is None:
        return Drop(raw.url, raw.source, "bad_url")
    body = decode(raw.body, raw.charset)
    try:
        text = main_text(body) if raw.html else tidy(body)
    except ValueError as error:
        return Drop(url, raw.source, "not_parsed", str(error)[:200])
    if not text:
        return Drop(url, raw.source, "no_text")
    return Page(url, domain(url), text, count_tokens(text), raw.source)
