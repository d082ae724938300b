"""What a page of the miniature web is before it becomes HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """A piece of a page's main content. ``text`` is what a reader sees; formulas in it are plain ascii."""

    #: heading | paragraph | problem (question and solution, line by line) | code
    kind: str
    text: str


@dataclass(frozen=True)
class Page:
    """A page, its place on the web and the truth about it."""

    url: str
    #: key of ``web_sites.SITES``
    domain: str
    kind: str
    title: str
    date: str
    blocks: tuple[Block, ...]
    is_math: bool = False
    #: good | low, None where the page is not about mathematics
    quality: str | None = None
    #: ids of the problems on the page
    problems: tuple[str, ...] = ()
    duplicate_of: str | None = None
    #: url (another address of the same site) | exact (whole page on a mirror) | near (small edits)
    duplicate: str | None = None
    #: ids of the test problems that the page copies
    leak_of: tuple[str, ...] | None = None
    #: bad_utf8 | unclosed_tags | empty | not_found | binary
    defect: str | None = None
    #: domain that a copy on a mirror was taken from
    origin: str | None = None
    #: author's name and other words of the frame around the content
    frame: dict[str, str] = field(default_factory=dict)

    @property
    def main_text(self) -> str:
        """The visible text of the main content, formulas as plain ascii."""
        return "\n".join([self.title, *(block.text for block in self.blocks)])


def shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    """Return the runs of ``size`` consecutive white-space words of a text."""
    words = text.lower().split()
    return set(zip(*(words[start:] for start in range(size)), strict=False))


def jaccard(first: str, second: str, size: int = 5) -> float:
    """Return |A & B| / |A | B| of two texts' shingles; 1.0 for two texts too short to have any."""
    a, b = shingles(first, size), shingles(second, size)
    return len(a & b) / len(a | b) if a | b else 1.0


def pieces(text: str, low: int, high: int) -> Iterator[list[str]]:
    """Cut a text at its blank lines into lists of paragraphs with ``low`` to ``high`` characters each."""
    current: list[str] = []
    size = 0
    for paragraph in text.split("\n\n"):
        if not paragraph.strip() or len(paragraph) > high:
            continue
        if current and size + len(paragraph) > high:
            if size >= low:
                yield current
            current, size = [], 0
        current.append(paragraph.strip("\n"))
        size += len(paragraph)
    if size >= low:
        yield current
