"""The maths pre-pass: every formula in the markup becomes TeX behind a placeholder.

Main-text extractors flatten ``x<sup>10</sup>`` to ``x10``, drop scripts and images, and print a KaTeX
formula twice. A placeholder is one plain word, which they all keep; the TeX is put back afterwards.
Constructs, best source first: TeX annotation, ``script[type^="math/tex"]``, ``alttext``, image ``alt``
and codecogs addresses, bare MathML, then ``<sup>`` and ``<sub>``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from lxml import etree
from lxml import html as lxml_html

from dsm_repro.corpus.mathml import mathml_to_tex

_TEX_ANNOTATION = ("application/x-tex", "tex", "latex", "application/x-latex", "text/x-latex")
#: elements that hold one formula in several renderings
_CONTAINERS = frozenset(
    ("katex", "katex-display", "mwe-math-element", "mathjax_display", "mathjax", "mathjax_svg", "mathjax_chtml")
)
_MATHJAX_RENDERED = frozenset(("mathjax_preview", "mathjax_display", "mathjax", "mathjax_svg", "mathjax_chtml"))
_IMAGE_CLASSES = frozenset(
    ("tex", "latex", "math", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display", "formula")
)
_IMAGE_SERVERS = re.compile(r"codecogs\.com|latex\.php|mathtex\.cgi|mimetex\.cgi|/latex\b|chart\?cht=tx", re.IGNORECASE)
_TEX_SIGN = re.compile(r"\\[a-zA-Z]+|[\^_]\{|\$.+\$")
_LATEX_PARAMETER = re.compile(r"(?:^|&)(?:latex|chl|tex)=([^&]*)")
_DELIMITED = re.compile(r"^(?:\$.*\$|\\\[.*\\\]|\\\(.*\\\)|\\begin\{(?:align|equation|gather|eqnarray).*)$", re.DOTALL)
_DISPLAYSTYLE = re.compile(r"^\{\\(?:displaystyle|textstyle)\s*(.*)\}$", re.DOTALL)
_CITATION = re.compile(r"^\s*\[.{1,12}\]\s*$")
_ORDINALS = frozenset(("st", "nd", "rd", "th", "tm", "®", "™"))


@dataclass
class Formulas:
    """Placeholders of one page. ``mark`` is a word that the page does not contain."""

    mark: str
    tex: list[str] = field(default_factory=list)

    def placeholder(self, tex: str) -> str:
        self.tex.append(tex)
        return f"{self.mark}{len(self.tex) - 1}Q"

    def restore(self, text: str) -> str:
        """Put the TeX back; a superscript may itself hold placeholders, so repeat until none is left."""
        pattern = re.compile(rf"{self.mark}(\d+)Q")
        while pattern.search(text):
            text = pattern.sub(lambda match: self.tex[int(match.group(1))], text)
        return text


def free_mark(html: str) -> str:
    """A word that does not occur in the page."""
    number = 0
    while (mark := f"Qmx{number}z") in html:
        number += 1
    return mark


def replace_formulas(root: lxml_html.HtmlElement, formulas: Formulas) -> None:
    """Replace every formula below ``root`` by its placeholder, in place."""
    # collected before editing: a tree must not change under its iterator
    nodes = [node for node in root.iter() if isinstance(node.tag, str)]
    has_scripts = any(node.tag == "script" and _is_tex_script(node) for node in nodes)
    gone: set[etree._Element] = set()
    for node in nodes:
        if node in gone:
            continue
        written = _formula(node, has_scripts)
        if written is not None:
            gone.update(node.iter())
            _replace(node, formulas.placeholder(written) if written else "")
    for node in reversed(nodes):  # innermost first
        if node.tag in ("sup", "sub") and node not in gone:
            _replace_script(node, formulas)


def _formula(node: etree._Element, has_scripts: bool) -> str | None:
    """Delimited TeX of the formula that this element is; "" for a second rendering of one; None for anything else."""
    tag = node.tag
    classes = set((node.get("class") or "").lower().split())
    if tag == "script":
        return _delimited(node.text or "", "display" in (node.get("type") or "")) if _is_tex_script(node) else None
    if has_scripts and classes & _MATHJAX_RENDERED:
        return ""
    if tag == "mjx-container" or classes & _CONTAINERS:
        tex = _tex_inside(node)
        display = node.get("display") in ("true", "block") or any("display" in name for name in classes)
        return _delimited(tex, display) if tex else None
    if tag == "math":
        return _delimited(_tex_inside(node) or mathml_to_tex(node), node.get("display") == "block")
    if tag == "img":
        tex = _image_tex(node, classes)
        return _delimited(tex, False) if tex else None
    return None


def _is_tex_script(node: etree._Element) -> bool:
    return (node.get("type") or "").lower().startswith("math/tex")


def _tex_inside(node: etree._Element) -> str:
    for annotation in node.iter("annotation"):
        if (annotation.get("encoding") or "").lower() in _TEX_ANNOTATION and (annotation.text or "").strip():
            return annotation.text
    for element in node.iter():
        if isinstance(element.tag, str) and (element.get("alttext") or "").strip():
            return element.get("alttext") or ""
    for image in node.iter("img"):
        if (image.get("alt") or "").strip():
            return image.get("alt") or ""
    if node.tag != "math":
        for math in node.iter("math"):
            return mathml_to_tex(math)
    return ""


def _image_tex(node: etree._Element, classes: set[str]) -> str:
    alt = (node.get("alt") or "").strip()
    source = node.get("src") or node.get("data-src") or ""
    if _IMAGE_SERVERS.search(source):
        query = urlsplit(source).query
        parameter = _LATEX_PARAMETER.search(query)
        return alt if _TEX_SIGN.search(alt) else unquote((parameter.group(1) if parameter else query).replace("+", " "))
    if alt and (classes & _IMAGE_CLASSES or _TEX_SIGN.search(alt)):
        return alt
    return ""


def _delimited(tex: str, display: bool) -> str:
    tex = " ".join(tex.replace("<![CDATA[", "").replace("]]>", "").strip().removeprefix("% ").split())
    wrapped = _DISPLAYSTYLE.match(tex)
    tex = wrapped.group(1).strip() if wrapped else tex
    if not tex or _DELIMITED.match(tex):
        return tex
    return f"$${tex}$$" if display else f"${tex}$"


def _replace_script(node: etree._Element, formulas: Formulas) -> None:
    content = " ".join("".join(node.itertext()).split())
    if not content or _CITATION.match(content):
        _replace(node, "")
    elif content.lower() in _ORDINALS:
        _replace(node, content)
    else:
        _replace(node, formulas.placeholder(f"{'^' if node.tag == 'sup' else '_'}{{{content}}}"))


def _replace(node: etree._Element, text: str) -> None:
    parent, previous = node.getparent(), node.getprevious()
    if parent is None:
        return
    text += node.tail or ""
    if previous is not None:
        previous.tail = (previous.tail or "") + text
    else:
        parent.text = (parent.text or "") + text
    parent.remove(node)
