"""Formulas in HTML, in the ways the web writes them.

A formula arrives as plain ascii (``3*x + 34 = 79``, ``\\boxed{15}``) inside a sentence and leaves in one
of ``ENCODINGS``: as it is, as TeX for MathJax, in a ``<script type="math/tex">``, as MathML with or
without its TeX annotation, as an image whose ``alt`` is the TeX, with ``<sup>``, or as KaTeX's spans.
"""

from __future__ import annotations

import html
import re
from urllib.parse import quote

ENCODINGS = ("plain", "dollar", "parenthesis", "script", "annotated_mathml", "mathml", "image", "sup", "katex")

_OPERAND = r"(?:\d+(?:\.\d+)?|[xyn](?![a-z]))(?:\^\d+)?"
_OPERATOR = r" ?[-+*/=%] ?"
FORMULA = re.compile(
    rf"\\boxed\{{[^{{}}]*\}}|\(\d+(?:, ?\d+)+\)|(?<![\w.-])-?{_OPERAND}(?:{_OPERATOR}-?{_OPERAND})+(?!\w)"
)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z]|\\boxed\{([^{}]*)\}|\^\d+|[-+*/=%(),]")
_MATHML = 'xmlns="http://www.w3.org/1998/Math/MathML"'


def encode(text: str, encoding: str) -> str:
    """Return HTML for a line of text, its formulas in the given encoding.

    Raises:
        KeyError: unknown encoding.
    """
    write = _WRITERS[encoding]
    parts, end = [], 0
    for match in FORMULA.finditer(text):
        parts.append(html.escape(text[end : match.start()], quote=False))
        parts.append(write(match.group()))
        end = match.end()
    parts.append(html.escape(text[end:], quote=False))
    return "".join(parts)


def tex(formula: str) -> str:
    """Return TeX for a plain formula: ``75%6=3`` -> ``75 \\bmod 6=3``, ``3*4`` -> ``3 \\cdot 4``."""
    return formula.replace("%", r" \bmod ").replace("*", r" \cdot ")


def _plain(formula: str) -> str:
    return html.escape(formula, quote=False)


def _typed(formula: str) -> str:
    # people type "*" between dollars; a bare "%" would start a TeX comment
    return html.escape(formula.replace("%", r" \bmod "), quote=False)


def _mathml_body(formula: str) -> str:
    boxed = re.fullmatch(r"\\boxed\{([^{}]*)\}", formula)
    if boxed:
        return f'<menclose notation="box">{_mathml_body(boxed.group(1))}</menclose>'
    out: list[str] = []
    for match in _TOKEN.finditer(formula):
        token = match.group()
        if token[0] == "^":
            out[-1] = f"<msup>{out[-1]}<mn>{token[1:]}</mn></msup>"
        elif token[0].isdigit():
            out.append(f"<mn>{token}</mn>")
        elif token.isalpha():
            out.append(f"<mi>{token}</mi>")
        else:
            out.append(f"<mo>{ {'*': '&#x22C5;', '-': '&#x2212;', '%': 'mod'}.get(token, token) }</mo>")
    return f"<mrow>{''.join(out)}</mrow>"


def _annotated(formula: str) -> str:
    note = html.escape(tex(formula), quote=False)
    return (
        f"<math {_MATHML}><semantics>{_mathml_body(formula)}"
        f'<annotation encoding="application/x-tex">{note}</annotation></semantics></math>'
    )


def _image(formula: str) -> str:
    source = tex(formula)
    return f'<img class="latex" src="https://latex.codecogs.com/svg.latex?{quote(source)}" alt="{html.escape(source)}">'


def _sup(formula: str) -> str:
    boxed = re.fullmatch(r"\\boxed\{([^{}]*)\}", formula)
    if boxed:
        return f"<b>{html.escape(boxed.group(1))}</b>"
    text = html.escape(formula, quote=False).replace("*", "&times;").replace("%", " mod ")
    return re.sub(r"\^(\d+)", r"<sup>\1</sup>", text)


def _katex(formula: str) -> str:
    return (
        f'<span class="katex"><span class="katex-mathml">{_annotated(formula)}</span>'
        f'<span class="katex-html" aria-hidden="true"><span class="base">{_sup(formula)}</span></span></span>'
    )


_WRITERS = {
    "plain": _plain,
    "dollar": lambda formula: f"${_typed(formula)}$",
    "parenthesis": lambda formula: f"\\({_typed(formula)}\\)",
    "script": lambda formula: f'<script type="math/tex">{tex(formula)}</script>',
    "annotated_mathml": _annotated,
    "mathml": lambda formula: f"<math {_MATHML}>{_mathml_body(formula)}</math>",
    "image": _image,
    "sup": _sup,
    "katex": _katex,
}
