"""How many formulas a page's markup holds, counted by the standard library's parser alone.

This is the truth of the manuals (``benchmarks/manuals.py``): nothing here is shared with the extractor,
the tokenizer or the classifier that are measured against it.

Counted as one formula each, if it says more than one name or number (``x``, ``10`` and ``n`` are in every manual):

- an element or image of class ``math``, ``displaymath`` or ``SimpleMath`` (Sphinx, Texinfo, GAPDoc), or ``<math>``;
- ``\\(…\\)`` and ``\\[…\\]`` in running text, outside code;
- arithmetic on a ``<var>`` (``<var>x</var>'*<var>b</var>``), which is how Texinfo writes a displayed formula.
  A ``<var>`` alone is a name of an argument in every manual, and so is all that stands in a ``<dt>``.

What it does not see: mathematics in words or in program code only, formulas as pictures without a class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_MATH_CLASSES = frozenset(("math", "displaymath", "simplemath"))
_VOID = frozenset(("img", "br", "hr", "meta", "link", "input", "col", "area", "base", "embed", "source", "wbr"))
_UNSEEN = frozenset(("script", "style", "title"))
_CODE = frozenset(("pre", "code", "tt", "samp", "kbd"))
#: a relation, an operation, a script, or a TeX command beside something else
_SAYS_SOMETHING = re.compile(r"[=<>≤≥≠≈∈→+*/^_√∑∫∂]|\w\s*[-−–]\s*\w|\\[A-Za-z]{2,}.*\w|\w\s*\(\w")
_DELIMITED = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
#: private signs that stand for <var> and </var>
_OPEN, _CLOSE = "\ue000", "\ue001"
_OPERATION = r"(?:'?\s*\.?[*^+]|'?\s[-/<>]\s|\s*[≤≥])\s*"
_ON_VARIABLES = re.compile(
    rf"{_CLOSE}{_OPERATION}(?:{_OPEN}|\d|\w+ ?\()"
    rf"|[\w)]{_OPERATION}{_OPEN}"
    rf"|{_CLOSE}\s=\s[^,;\n{_OPEN}]*{_OPERATION}{_OPEN}"
)


@dataclass(frozen=True)
class Markup:
    """``formulas`` that say something, ``symbols`` that are marked up as mathematics but do not, visible characters."""

    formulas: int
    symbols: int
    characters: int


def count_formulas(html: str) -> Markup:
    """Count the formulas of a page."""
    parser = _Counter()
    parser.feed(html)
    parser.close()
    return parser.result()


class _Counter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._marked: list[str] = []
        #: inside a formula: its tag, how deep the same tag is nested, and its text so far
        self._tag, self._depth, self._formula = "", 0, [""]
        self._inside: dict[str, int] = {}
        self._prose: list[str] = []
        self._running: list[str] = []
        self._characters = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._tag:
            self._depth += tag == self._tag
            return
        values = dict(attrs)
        classes = set((values.get("class") or "").lower().split())
        if tag == "img":
            if classes & _MATH_CLASSES:
                self._marked.append(values.get("alt") or "")
        elif tag == "math" or classes & _MATH_CLASSES:
            self._tag, self._depth, self._formula = tag, 1, []
        elif tag == "var":
            self._say(_OPEN)
        elif tag not in _VOID:
            self._inside[tag] = self._inside.get(tag, 0) + 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._tag:
            self._depth -= tag == self._tag
            if not self._depth:
                self._marked.append("".join(self._formula))
                self._tag = ""
        elif tag == "var":
            self._say(_CLOSE)
        elif self._inside.get(tag, 0):
            self._inside[tag] -= 1

    def handle_data(self, data: str) -> None:
        if any(self._inside.get(tag, 0) for tag in _UNSEEN):
            return
        self._characters += len(data)
        if self._tag:
            self._formula.append(data)
        else:
            self._say(data)

    def _say(self, text: str) -> None:
        if not self._inside.get("dt", 0):
            self._running.append(text)
        if not any(self._inside.get(tag, 0) for tag in _CODE):
            self._prose.append(text)

    def result(self) -> Markup:
        if self._tag:  # a formula that is never closed
            self._marked.append("".join(self._formula))
        marked = self._marked + [a or b for a, b in _DELIMITED.findall("".join(self._prose))]
        said = sum(bool(_SAYS_SOMETHING.search(_bare(text))) for text in marked)
        operations = len(_ON_VARIABLES.findall("".join(self._running)))
        return Markup(said + operations, len(marked) - said, self._characters)


def _bare(text: str) -> str:
    """A formula without delimiters and without the TeX that only sets a name upright."""
    inner = text.strip().removeprefix("\\(").removeprefix("\\[").removesuffix("\\)").removesuffix("\\]").strip()
    return re.sub(r"\\(?:mathrm|mathit|mathbf|mathtt|mathsf|text|texttt|textit|rm|it|tt|bf)\b", "", inner)
