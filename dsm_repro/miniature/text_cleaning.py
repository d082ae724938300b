"""From source files to text: docstrings found, prose told from markup, formulas written as TeX.

Docstrings are found by a scan for triple quotes and not by ``ast``: it is thirty times faster, and what
is no docstring does not read as prose and is dropped by the next step.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator

#: a shorter paragraph is a heading or a summary line
MIN_WORDS = 14
#: no paragraph of so many words is shorter
MIN_LENGTH = 50

_TRIPLE = re.compile(r'("""|\'\'\')(.*?)\1', re.DOTALL)
_TOPICS = "\ntopics = "
_BLOCK_START = re.compile(r"\n(?=(?:@|def |class |async def ))")

_ROLE = re.compile(r":(?:[a-z]+:)?(?!math)[a-z-]+:`~?\.?([^`<]*?)(?: *<[^`]*)?`")
_BACKTICKS = re.compile(r"`{1,2}([^`]*)`{1,2}_{0,2}")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_EMPHASIS = re.compile(r"(?<![\w*])\*{1,2}([^*\n]+)\*{1,2}(?![\w*])")
_SPACE = re.compile(r"\s+")
_MATH_ROLE = re.compile(r":math:`([^`]+)`")
_STOP_WORDS = re.compile(
    r"\b(?:the|an?|of|to|in|is|and|that|for|it|as|be|this|with|on|are|by|if|or|not|can|from|which|at|when|will|has|have|"
    r"was|but|all|its|may|these|you|used?|one|than|other|any)\b",
    re.IGNORECASE,
)
_SYMBOLS = str.maketrans("", "", "#$%&*+/<=>@[\\]^_`{|}~")
_FORMULA = re.compile(r"\$[^$]+\$")


def docstrings(source: str) -> list[str]:
    """Return the strings in triple quotes (or the topics of ``pydoc_data``) without their indentation."""
    if _TOPICS in source[:300]:
        return list(ast.literal_eval(source.split(_TOPICS, 1)[1].strip()).values())
    return [inspect.cleandoc(text) for _, text in _TRIPLE.findall(source) if len(text) >= MIN_LENGTH]


def code_blocks(source: str) -> list[str]:
    """Cut a source file before its top-level definitions; licence comments at the top stay out."""
    lines = source.expandtabs(4).splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("#")):
        lines.pop(0)
    body = "\n".join(line.rstrip() for line in lines)
    return [block.strip("\n") for block in _BLOCK_START.split(body) if block.strip()]


def pack(pieces: Iterable[str], glue: str, limit: int) -> Iterator[str]:
    """Join consecutive pieces into texts of at most ``limit`` characters; a longer piece is cut between lines."""
    current: list[str] = []
    size = 0
    for piece in (part for whole in pieces for part in _cut(whole, limit)):
        if current and size + len(glue) + len(piece) > limit:
            yield glue.join(current)
            current, size = [], 0
        size += len(piece) + (len(glue) if current else 0)
        current.append(piece)
    if current:
        yield glue.join(current)


def _cut(piece: str, limit: int) -> Iterator[str]:
    while len(piece) > limit:
        end = piece.rfind("\n", 0, limit)
        end = end if end > 0 else limit
        yield piece[:end]
        piece = piece[end:].lstrip("\n")
    if piece:
        yield piece


def prose_paragraphs(block: str) -> list[str]:
    """Return the paragraphs of natural language in a docstring or README, one line each, markup removed."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", block):
        if paragraph.count(" ") < MIN_WORDS // 2 or _is_markup(paragraph) or "math" in paragraph:
            continue
        text = _plain(paragraph)
        if _reads_as_prose(text, symbols=0.06):
            kept.append(text)
    return kept


def formula_paragraphs(block: str) -> list[str]:
    """Return the paragraphs of a docstring that has formulas: ``:math:`x``` as ``$x$``, ``.. math::`` as ``$$...$$``.

    A block without any formula gives an empty list.
    """
    if "math:" not in block:
        return []
    kept = []
    display = False
    for paragraph in re.split(r"\n\s*\n", block):
        stripped = paragraph.strip()
        head, found, formula = stripped.partition(".. math::")
        if found or (display and paragraph.startswith((" ", "\t"))):
            tex = _SPACE.sub(" ", _unescape(formula if found else stripped)).strip()
            if found and head.strip() and not _is_markup(head):
                kept.append(_tex_text(head))
            if tex and not tex.startswith(":"):
                kept.append(f"$${tex}$$")
            display = True
            continue
        display = False
        if _is_markup(paragraph):
            continue
        text = _tex_text(paragraph)
        if _reads_as_prose(_FORMULA.sub("it", text), symbols=0.08):
            kept.append(text)
    return kept if any("$" in text for text in kept) else []


def _tex_text(paragraph: str) -> str:
    return _plain(_MATH_ROLE.sub(lambda match: f"${match.group(1)}$", _unescape(paragraph)))


def _unescape(text: str) -> str:
    return text.replace("\\\\", "\\") if re.search(r"\\\\[a-zA-Z]", text) else text


def _is_markup(paragraph: str) -> bool:
    """Lists, tables, doctests, field lists, directives, headings, indented code."""
    lines = paragraph.strip("\n").splitlines()
    if not lines:
        return True
    first = lines[0].strip()
    return (
        first.startswith((">>>", "..", ":", "-", "*", "+", "|", "=", "#", "@", "[", "<", "{", "!", "%", "$ "))
        or any(line.strip().startswith((">>>", "---", "===", "...", "|", "```", "~~~", "+--")) for line in lines)
        or any(line.startswith("    ") for line in lines)
        or "http" in paragraph
    )


def _plain(paragraph: str) -> str:
    text = _ROLE.sub(r"\1", paragraph)
    text = _LINK.sub(r"\1", text)
    text = _BACKTICKS.sub(r"\1", text)
    text = _EMPHASIS.sub(r"\1", text)
    text = _SPACE.sub(" ", text).strip()
    return text[:-1] if text.endswith("::") else text


def _reads_as_prose(text: str, symbols: float) -> bool:
    """Whether a paragraph is sentences: enough words, enough function words, few symbols, an end."""
    if not text.isascii() or not text[:1].isupper() or text[-1:] not in ".?!:)":
        return False
    words = text.split()
    if len(words) < MIN_WORDS:
        return False
    odd = len(text) - len(text.translate(_SYMBOLS))
    if odd > symbols * len(text):
        return False
    functional = len(_STOP_WORDS.findall(text))
    return functional >= 0.22 * len(words)
