"""Quality filters: each returns None to keep a page, or the reason to drop it. None of them may delete mathematics.

C4's rule against braces, and rules on the share of letters or on line ends, delete pages of formulas,
so they are not here. The paper names no quality stage (§2.1): these only remove what is not a text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from dsm_repro.config.schema import CorpusConfig
from dsm_repro.corpus.pages import Page

#: above this share of signs that are no letters, digits, punctuation or mathematics, a page is debris
MAX_DEBRIS_SHARE = 0.4
#: more than this share of the characters in repeated lines
MAX_REPEATED_SHARE = 0.5
#: fewer lines than this repeat by chance
MIN_LINES = 6
#: a notice in a page with fewer tokens than this is all the page says
NOTICE_TOKENS = 120
_SPACE = re.compile(r"\s+")
#: arrows and mathematical operators are U+2190 to U+22FF
_DEBRIS = re.compile(r"""[^\w\s+\-*/=<>^()\[\]{}\\$|.,:;!?'"%&~\u2190-\u22ff]""")
_NOTICE = re.compile(
    r"enable javascript|javascript is (?:disabled|required)|404 not found|page not found|access denied|lorem ipsum"
    r"|domain is for sale|under construction|checking your browser",
    re.IGNORECASE,
)

Filter = Callable[[Page, CorpusConfig], str | None]


def too_short(page: Page, config: CorpusConfig) -> str | None:
    return "too_short" if len(page.text) < config.min_characters else None


def not_text(page: Page, config: CorpusConfig) -> str | None:
    """Control signs, decorations and broken encodings."""
    visible = len(page.text) - sum(map(len, _SPACE.findall(page.text)))
    return "not_text" if len(_DEBRIS.findall(page.text)) > MAX_DEBRIS_SHARE * visible else None


def repeated_lines(page: Page, config: CorpusConfig) -> str | None:
    """The same lines over and over; a column of short formulas such as ``0`` does not count."""
    lines = [line.strip() for line in page.text.splitlines() if len(line.strip()) > 8]
    if len(lines) < MIN_LINES:
        return None
    counts = Counter(lines)
    repeated = sum(len(line) * (count - 1) for line, count in counts.items())
    return "repeated_lines" if repeated > MAX_REPEATED_SHARE * sum(map(len, lines)) else None


def notice(page: Page, config: CorpusConfig) -> str | None:
    """A short page that only carries an error or a placeholder."""
    return "notice" if page.tokens < NOTICE_TOKENS and _NOTICE.search(page.text) else None


FILTERS: tuple[Filter, ...] = (too_short, not_text, notice, repeated_lines)


def reason_to_drop(page: Page, config: CorpusConfig) -> str | None:
    """The first filter's reason, or None."""
    for rule in FILTERS:
        if (reason := rule(page, config)) is not None:
            return reason
    return None
