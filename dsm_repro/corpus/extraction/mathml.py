"""Presentation MathML to TeX: the constructs that web pages use, anything else by its text."""

from __future__ import annotations

import html
from collections.abc import Callable

from lxml import etree

_SIGNS = {
    "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": r"\div ", "±": r"\pm ", "∓": r"\mp ", "−": "-",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ", "∈": r"\in ", "∉": r"\notin ",
    "⊂": r"\subset ", "⊆": r"\subseteq ", "∪": r"\cup ", "∩": r"\cap ", "∞": r"\infty ", "∂": r"\partial ",
    "∇": r"\nabla ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "→": r"\to ", "⇒": r"\Rightarrow ",
    "⇔": r"\Leftrightarrow ", "∀": r"\forall ", "∃": r"\exists ", "…": r"\ldots ", "⋯": r"\cdots ", "′": "'",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ", "ζ": r"\zeta ",
    "η": r"\eta ", "θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ", "ν": r"\nu ", "ξ": r"\xi ", "π": r"\pi ",
    "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "φ": r"\phi ", "χ": r"\chi ", "ψ": r"\psi ", "ω": r"\omega ",
    "Γ": r"\Gamma ", "Δ": r"\Delta ", "Θ": r"\Theta ", "Λ": r"\Lambda ", "Σ": r"\Sigma ", "Φ": r"\Phi ",
    "Ψ": r"\Psi ", "Ω": r"\Omega ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
    "{": r"\{", "}": r"\}", "%": r"\%",
    # invisible: function application, times, separator, plus; and the no-break space
    "\u2061": "", "\u2062": "", "\u2063": "", "\u2064": "", "\u00a0": " ",
}  # fmt: skip
_FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "lim", "max", "min", "gcd", "det", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh",
))  # fmt: skip
_ACCENTS = {
    "^": r"\hat", "ˆ": r"\hat", "˙": r"\dot", "¨": r"\ddot", "¯": r"\overline", "‾": r"\overline",
    r"\to": r"\vec", "~": r"\tilde", "˜": r"\tilde",
}  # fmt: skip
_SKIPPED = frozenset(("annotation", "annotation-xml", "mphantom", "none", "mprescripts"))
_MAX_DEPTH = 100


def mathml_to_tex(node: etree._Element) -> str:
    """TeX of a ``<math>`` element without annotation, for example ``\\frac{a}{b^{2}}``."""
    return " ".join(_tex(node, 0).split())


def _tex(node: etree._Element, depth: int) -> str:
    if not isinstance(node.tag, str) or depth > _MAX_DEPTH:
        return ""
    tag = node.tag.rpartition("}")[2].rpartition(":")[2].lower()
    if tag in _SKIPPED:
        return ""
    parts = [_tex(child, depth + 1) for child in node if isinstance(child.tag, str)]
    if tag == "mfrac" and (node.get("linethickness") or "").strip("pxemt .") == "0" and len(parts) >= 2:
        return rf"\binom{{{parts[0]}}}{{{parts[1]}}}"
    if tag == "mmultiscripts" and parts:
        return _multiscripts(node, depth)
    if tag in _LAYOUTS and len(parts) >= _LAYOUTS[tag][0]:
        return _LAYOUTS[tag][1](parts)
    if tag == "mspace":
        return " "
    if tag in ("mi", "mn", "mo", "mtext", "ms") and not parts:
        return _leaf(tag, node.text or "")
    if tag == "mfenced":
        return _signs(node.get("open", "(")) + ", ".join(parts) + _signs(node.get("close", ")"))
    if tag == "mtable":
        return r"\begin{matrix} " + r" \\ ".join(parts) + r" \end{matrix}"
    if tag in ("mtr", "mlabeledtr"):
        return " & ".join(parts)
    text = node.text if node.text and not node.text.isspace() else ""
    return _signs(text) + "".join(parts)


def _multiscripts(node: etree._Element, depth: int) -> str:
    """Base, then pairs of subscript and superscript; those after ``mprescripts`` stand before the base."""
    base, *scripts = [child for child in node if isinstance(child.tag, str)]
    before, after = "", ""
    found: list[str] = []
    for child in scripts:
        if child.tag.endswith("mprescripts"):
            after, found = "".join(found), []
        else:
            sign = "_" if len(found) % 2 == 0 else "^"
            content = _tex(child, depth + 1)
            found.append(f"{sign}{{{content}}}" if content else "")
    if any(child.tag.endswith("mprescripts") for child in scripts):
        before = "{}" + "".join(found)
    else:
        after = "".join(found)
    return before + _base(_tex(base, depth + 1)).rstrip() + after


def _leaf(tag: str, text: str) -> str:
    # the HTML parser does not know MathML's entity names
    text = html.unescape(text).strip() if tag != "mtext" else html.unescape(text)
    if tag == "mtext" and text.strip():
        return rf"\text{{{text}}}"
    if text in _FUNCTIONS:
        return rf"\{text} "
    if text == "mod":
        return r" \bmod "
    if tag == "mi" and len(text) > 1 and text.isalpha():
        return rf"\mathrm{{{text}}}"
    return _signs(text)


def _signs(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in html.unescape(text))


def _base(text: str) -> str:
    stripped = text.strip()
    atom = len(stripped) <= 1 or (stripped[0] == "\\" and stripped[1:].isalpha())
    return text if atom else f"{{{text}}}"


def _over(parts: list[str]) -> str:
    base, mark = parts[0], parts[1].strip()
    if mark in _ACCENTS:
        return rf"{_ACCENTS[mark]}{{{base}}}"
    return f"{base.rstrip()}^{{{mark}}}"


#: element -> (children it needs, how they are written)
_LAYOUTS: dict[str, tuple[int, Callable[[list[str]], str]]] = {
    "mfrac": (2, lambda p: rf"\frac{{{p[0]}}}{{{p[1]}}}"),
    "msqrt": (1, lambda p: rf"\sqrt{{{''.join(p)}}}"),
    "mroot": (2, lambda p: rf"\sqrt[{p[1]}]{{{p[0]}}}"),
    "msup": (2, lambda p: f"{_base(p[0]).rstrip()}^{{{p[1]}}}"),
    "msub": (2, lambda p: f"{_base(p[0]).rstrip()}_{{{p[1]}}}"),
    "msubsup": (3, lambda p: f"{_base(p[0]).rstrip()}_{{{p[1]}}}^{{{p[2]}}}"),
    "munder": (2, lambda p: f"{p[0].rstrip()}_{{{p[1]}}}"),
    "menclose": (1, lambda p: rf"\boxed{{{''.join(p)}}}"),
    "mover": (2, _over),
    "munderover": (3, lambda p: f"{p[0].rstrip()}_{{{p[1]}}}^{{{p[2]}}}"),
}
