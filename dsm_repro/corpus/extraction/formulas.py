"""The maths pre-pass: every formula in the markup becomes TeX behind a placeholder.

Main-text extractors flatten ``x<sup>10</sup>`` to ``x10``, drop scripts and images, and print a KaTeX
formula twice. A placeholder is one plain word, which they all keep; the TeX is put back afterwards.
Constructs, best source first: TeX annotation, ``script[type^="math/tex"]``, ``alttext`` and ``data-tex``,
image ``alt`` and codecogs addresses, bare MathML, then ``<sup>`` and ``<sub>``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from dsm_repro.corpus.extraction.mathml import mathml_to_tex

if TYPE_CHECKING:
    from lxml import etree

_MATH_TAGS = ("math", "m:math", "mml:math")
_TEX_ANNOTATION = ("application/x-tex", "tex", "latex", "application/x-latex", "text/x-latex")
#: what a page contains if it has elements that hold a formula in several renderings
_CONTAINER_HINTS = ("katex", "mathjax", "mwe-math", "data-tex", "data-latex", "ql-formula")
_CONTAINERS = frozenset(("katex", "katex-display", "mwe-math-element", "ql-formula"))
_MATHJAX = frozenset(("MathJax_Preview", "MathJax_Display", "MathJax", "MathJax_SVG", "MathJax_CHTML"))
_TEX_ATTRIBUTES = ("data-tex", "data-latex")
_IMAGE_CLASSES = frozenset((
    "tex", "latex", "math", "formula", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display",
))  # fmt: skip
_IMAGE_SERVERS = re.compile(
    r"codecogs\.com|latex\.php|mathtex\.cgi|mimetex\.cgi|/latex\b|chart\?cht=tx|/equation\?tex=|/math\?formula=",
    re.IGNORECASE,
)
#: image addresses are read up to here; inline images are longer
_MAX_ADDRESS = 10_000
_TEX_SIGN = re.compile(r"\\[a-zA-Z]+|[\^_]\{|\$.+\$")
_LATEX_PARAMETER = re.compile(r"(?:^|&)(?:latex|chl|tex|formula)=([^&]*)")
#: how an image server should draw it: ``\dpi{110}``, ``\bg_white``, ``\fn_cm``
_DRAWING = re.compile(
    r"^(?:\s|\\inline|\\dpi\s*\{?\d+\}?|\\(?:bg|fn)_\w+|\\(?:tiny|small|large|huge)\b)+", re.IGNORECASE
)
_DELIMITED = re.compile(
    r"^(?:\$.*\$|\\\[.*\\\]|\\\(.*\\\)|\\begin\{(?:align(?:at)?|equation|gather|eqnarray|multline|flalign)\*?\}.*)$",
    re.DOTALL,
)
_DISPLAYSTYLE = re.compile(r"^\{\\(?:displaystyle|textstyle)\s*(.*)\}$", re.DOTALL)
_CDATA = re.compile(r"%?\s*(?:<!\[CDATA\[|\]\]>)")
_TEX_COMMENT = re.compile(r"(?<!\\)%[^\n]*\n")
#: a longer superscript is a passage that is set high
_MAX_SCRIPT_CHARACTERS = 200
#: ``[12]``, ``[3, 4]``, ``[note 1]``, ``[citation needed]``; not ``[n+1]``
_CITATION = re.compile(r"^\[(?:[\d,;\s–-]+|[^\W\d_]{3,} [\w ]{1,20})\]$")
_NOTE_CLASS = re.compile(r"\b(?:reference|footnote|cite|noteref)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"(Qmx[0-9a-f]{16}z)(\d{1,7})Q")
_ORDINALS = frozenset(("st", "nd", "rd", "th", "ème", "º", "ª", "tm", "®", "™", "©"))


@dataclass
class Formulas:
    """Placeholders of one page. ``mark`` is a word that the page does not contain."""

    mark: str
    tex: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, source: bytes) -> Formulas:
        """For a page: a page would have to contain its own hash to contain the mark."""
        import xxhash

        return cls(f"Qmx{xxhash.xxh3_64_hexdigest(source)}z")

    def placeholder(self, tex: str) -> str:
        self.tex.append(tex)
        return f"{self.mark}{len(self.tex) - 1}Q"

    def restore(self, text: str) -> str:
        """Put the TeX back."""
        return _PLACEHOLDER.sub(self._tex_of, text)

    def kept(self, text: str) -> int:
        """Number of placeholders in a text."""
        return text.count(self.mark)

    def _tex_of(self, match: re.Match[str]) -> str:
        mark, number = match.group(1), int(match.group(2))
        return self.tex[number] if mark == self.mark and number < len(self.tex) else match.group()


def replace_formulas(body: etree._Element, lowered: str, formulas: Formulas) -> None:
    """Replace every formula below ``body`` by its placeholder, in place. ``lowered``: the source in lower case."""
    tags = [tag for tag in (*_MATH_TAGS, "img", "mjx-container") if f"<{tag}" in lowered]
    has_scripts = "math/tex" in lowered
    if has_scripts:
        tags.append("script")
    if any(hint in lowered for hint in _CONTAINER_HINTS):
        tags += ["span", "div"]
    gone: set[etree._Element] = set()
    # collected before editing: a tree must not change under its iterator
    for node in list(body.iter(*tags)) if tags else ():
        if node not in gone and (written := _formula(node, has_scripts)) is not None:
            gone.update(node.iter(*tags))
            _replace(node, formulas.placeholder(written) if written else "")
    if "<sup" in lowered or "<sub" in lowered:
        for node in reversed(list(body.iter("sup", "sub"))):  # innermost first
            _replace_script(node, formulas)


def _formula(node: etree._Element, has_scripts: bool) -> str | None:
    """Delimited TeX of the formula that this element is; "" for a second rendering of one; None for anything else."""
    tag = node.tag
    if tag == "script":
        kind = (node.get("type") or "").lower()
        return _delimited(node.text or "", "display" in kind) if kind.startswith("math/tex") else None
    names = (node.get("class") or "").split()
    if tag in _MATH_TAGS:
        return _delimited(_tex_inside(node) or mathml_to_tex(node), _is_display(node, names))
    if tag == "img":
        return _delimited(_image_tex(node, names), _is_display(node, names)) or None
    if has_scripts and not _MATHJAX.isdisjoint(names):
        return ""
    for name in _TEX_ATTRIBUTES:
        if tex := (node.get(name) or "").strip():
            return _delimited(tex, _is_display(node, names))
    if tag == "mjx-container" or not _MATHJAX.isdisjoint(names) or not _CONTAINERS.isdisjoint(map(str.lower, names)):
        return _delimited(_tex_inside(node), _is_display(node, names)) or None
    return None


def _is_display(node: etree._Element, names: list[str]) -> bool:
    if node.get("display") in ("true", "block") or node.get("mode") == "display":
        return True
    if any("display" in name.lower() for name in names):
        return True
    if node.tag == "img":
        return any("math" in (parent.get("class") or "").split() for parent in node.iterancestors("div"))
    return any(math.get("display") == "block" for math in node.iter("math"))


def _tex_inside(node: etree._Element) -> str:
    """TeX of an element that is one formula; "" where none is written, or where there are several."""
    found = [
        note.text
        for note in node.iter("annotation")
        if (note.get("encoding") or "").lower() in _TEX_ANNOTATION and (note.text or "").strip()
    ]
    if found:
        return found[0] if len(found) == 1 else ""
    if (value := (node.get("data-value") or "").strip()) and node.tag == "span":
        return value
    for element in node.iter("math", "mjx-container", "mjx-math", "span"):
        for name in ("alttext", *_TEX_ATTRIBUTES):
            if tex := (element.get(name) or "").strip():
                return tex
    for image in node.iter("img"):
        if tex := (image.get("alt") or "").strip():
            return tex
    if node.tag not in _MATH_TAGS:
        for math in node.iter(*_MATH_TAGS):
            return mathml_to_tex(math)
    return ""


def _image_tex(node: etree._Element, names: list[str]) -> str:
    alt = (node.get("alt") or "").strip()
    source = (node.get("src") or node.get("data-src") or "")[:_MAX_ADDRESS]
    if _IMAGE_SERVERS.search(source):
        if _TEX_SIGN.search(alt):
            return alt
        # codecogs writes blanks and plus signs in a way of its own
        query = source.replace("&space;", " ").replace("&plus;", "%2B").partition("?")[2].partition("#")[0]
        parameter = _LATEX_PARAMETER.search(query)
        return _DRAWING.sub("", unquote_plus(parameter.group(1) if parameter else query))
    if alt and (not _IMAGE_CLASSES.isdisjoint(map(str.lower, names)) or _TEX_SIGN.search(alt)):
        return alt
    return ""


def _delimited(tex: str, display: bool) -> str:
    tex = _TEX_COMMENT.sub(" ", _CDATA.sub("\n", tex))
    tex = " ".join(tex.split())
    wrapped = _DISPLAYSTYLE.match(tex)
    tex = wrapped.group(1).strip() if wrapped else tex
    if not tex or _DELIMITED.match(tex):
        return tex
    return f"$${tex}$$" if display else f"${tex}$"


def _replace_script(node: etree._Element, formulas: Formulas) -> None:
    content = " ".join("".join(node.itertext()).split())
    if len(content) > _MAX_SCRIPT_CHARACTERS:
        node.tag = "span"
    elif not content or _is_note(node, content):
        _replace(node, "")
    elif content.lower() in _ORDINALS and node.tag == "sup":
        _replace(node, content)
    else:
        inner = formulas.restore(content)
        if inner.startswith("$") and inner.endswith("$") and inner.count("$") == 2:
            inner = inner[1:-1]
        _replace(node, formulas.placeholder(f"{'^' if node.tag == 'sup' else '_'}{{{inner}}}"))


def _is_note(node: etree._Element, content: str) -> bool:
    """Whether a superscript points to a note or a source: ``[12]``, ``[citation needed]``, a link within the page."""
    if node.tag != "sup":
        return False
    parent = node.getparent()
    links = [*node.iter("a"), *([parent] if parent is not None and parent.tag == "a" else [])]
    if any((link.get("href") or "").startswith("#") for link in links):
        return True
    return bool(_CITATION.match(content) or _NOTE_CLASS.search(node.get("class") or ""))


def _replace(node: etree._Element, text: str) -> None:
    # in its place: handing the text to a neighbour would copy what the neighbour already holds
    node.clear(keep_tail=True)
    node.tag = "span"
    node.text = text
