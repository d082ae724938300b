"""Quality filters: each returns None to keep a page, or why it goes. None of them may delete mathematics.

What Gopher and C4 ask of a text is left out where formulas, tables and exercises fail it: no braces, a
share of letters, of lines that end in a full stop or begin with a bullet, of stop words, a mean word
length, Gopher's limits on repetition. The paper names no quality stage (§2.1): these only remove what is
not a text. Repetition is looked for in prose, because a matrix repeats its zeros, a worksheet its
instruction with other numbers, and a proof its phrases.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.pages import Page

#: above this share of signs that are no letters, digits, punctuation or mathematics, a page is debris
MAX_DEBRIS_SHARE = 0.4
#: above this share of signs that no encoding could read
MAX_UNREADABLE_SHARE = 0.05
#: above this share of the signs in runs of 100 mixed letters and digits, a page is data (base64)
MAX_DATA_SHARE = 0.5
#: more than this share of the characters in repeated lines
MAX_REPEATED_SHARE = 0.5
#: fewer lines than this repeat by chance
MIN_LINES = 6
#: a run of this many words that came before on the page, in more than this share of the runs
RUN_WORDS, MAX_REPEATED_RUNS = 8, 0.7
#: runs with fewer words of letters are formulas, and fewer runs than that tell nothing
MIN_PROSE_WORDS, MIN_RUNS = 4, 50
#: a page of at least so many lines, nearly all of them names without a number, a sign or a sentence
MENU_LINES, MENU_SHARE = 20, 0.9
#: lines that break off, as the openings of articles in a list do
TEASER_LINES, TEASER_SHARE = 5, 0.5
#: a notice in a page with fewer tokens than this is all the page says
NOTICE_TOKENS = 120
#: Greek and Hebrew letters are \w; arrows, operators and technical signs are U+2190 to U+23FF, more of them
#: U+27C0 to U+2BFF; primes and dashes U+2010 to U+205F; brackets and commas of Chinese U+3000 and U+FF00 on
_DEBRIS = re.compile(
    r"""[^\w\s+\-*/=<>^()\[\]{}\\$|.,:;!?'"%&~@#`©°·×÷±¬\u0300-\u036f\u2010-\u205f\u2070-\u22ff"""
    r"""\u2300-\u23ff\u27c0-\u2bff\u3000-\u303f\uff00-\uffef]"""
)
_UNREADABLE = "\ufffd"
_DATA = re.compile(r"[A-Za-z0-9+/=_-]{100,}+")
_NOTICE = re.compile(
    r"enable (?:javascript|cookies)|javascript (?:is )?(?:disabled|required)|404 not found|page (?:was )?not found"
    r"|403 forbidden|access (?:to this page has been )?denied|lorem ipsum|domain is (?:parked|for sale)"
    r"|under construction|checking your browser|verify (?:that )?you are (?:a )?human|account (?:has been )?suspended"
    r"|default web (?:page|site)|it works!|页面不存在|找不到页面|网站建设中",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_NOT_MENU = re.compile(r"[\d=+<>^\\$|{}.!?。？！；;]")
_BROKEN_OFF = re.compile(r"(?:\.\.\.|…)\s*(?:\[?(?:read )?more\]?|»|→)?$", re.IGNORECASE)

#: reason and detail
Reason = tuple[str, str]
Filter = Callable[[Page, CorpusConfig], Reason | None]


def too_short(page: Page, config: CorpusConfig) -> Reason | None:
    """Fewer characters than ``corpus.min_characters``."""
    length = len(page.text)
    return ("too_short", f"{length} characters") if length < config.min_characters else None


def not_text(page: Page, config: CorpusConfig) -> Reason | None:
    """Decorations, broken encodings, data."""
    visible = sum(map(len, page.text.split()))
    foreign = len(page.text) - len(page.text.encode("ascii", "ignore"))
    for what, count, share in (
        ("unreadable signs", page.text.count(_UNREADABLE), MAX_UNREADABLE_SHARE),
        # no sign of ASCII is debris
        ("debris", len(_DEBRIS.findall(page.text)) if foreign > MAX_DEBRIS_SHARE * visible else 0, MAX_DEBRIS_SHARE),
        ("data", sum(len(run) for run in _DATA.findall(page.text) if _is_data(run)), MAX_DATA_SHARE),
    ):
        if count > share * visible:
            return "not_text", f"{count} of {visible} signs are {what}"
    return None


def _is_data(run: str) -> bool:
    # the digits of a number are mathematics, and so is a long name in capitals
    return any(map(str.isupper, run)) and any(map(str.islower, run)) and any(map(str.isdigit, run))


def notice(page: Page, config: CorpusConfig) -> Reason | None:
    """A short page that only carries an error or a placeholder."""
    if page.tokens >= NOTICE_TOKENS or (found := _NOTICE.search(page.text)) is None:
        return None
    return "notice", found.group()


def repeated_lines(page: Page, config: CorpusConfig) -> Reason | None:
    """The same lines of words over and over, after the same line; an instruction before ever new formulas is not."""
    lines = [line for line in map(str.strip, page.text.split("\n")) if line]
    if len(lines) < MIN_LINES:
        return None
    seen: set[tuple[str, str]] = set()
    repeated = 0
    for pair in pairwise(lines):
        if pair not in seen:
            seen.add(pair)
        elif len(_WORD.findall(pair[1])) > 1:
            repeated += len(pair[1])
    total = sum(map(len, lines))
    return ("repeated_lines", f"{repeated} of {total} characters") if repeated > MAX_REPEATED_SHARE * total else None


def repeated_runs(page: Page, config: CorpusConfig) -> Reason | None:
    """The same eight words of prose over and over, however they are broken into lines."""
    words = page.text.lower().split()
    # the first use of a word makes the run that ends in it a new one: with many different words they cannot repeat
    if len(set(words)) > (1 - MAX_REPEATED_RUNS) * len(words):
        return None
    prose = [bool(_WORD.match(word)) for word in words]
    runs = [
        hash(tuple(words[start : start + RUN_WORDS]))
        for start in range(len(words) - RUN_WORDS + 1)
        if sum(prose[start : start + RUN_WORDS]) >= MIN_PROSE_WORDS
    ]
    repeated = len(runs) - len(set(runs))
    if len(runs) < MIN_RUNS or repeated <= MAX_REPEATED_RUNS * len(runs):
        return None
    return "repeated_runs", f"{repeated} of {len(runs)} runs of {RUN_WORDS} words"


def menu(page: Page, config: CorpusConfig) -> Reason | None:
    """Names below one another: what is left of a page of links."""
    lines = [line for line in map(str.strip, page.text.split("\n")) if line]
    if len(lines) < MENU_LINES:
        return None
    names = sum(len(line) < 40 and len(line.split()) <= 3 and not _NOT_MENU.search(line) for line in lines)
    return ("menu", f"{names} of {len(lines)} lines are names") if names > MENU_SHARE * len(lines) else None


def teasers(page: Page, config: CorpusConfig) -> Reason | None:
    """Openings of articles that break off; ``1, 2, 3, …`` is not one."""
    if "..." not in page.text and "…" not in page.text:
        return None
    lines = [line for line in map(str.strip, page.text.split("\n")) if len(_WORD.findall(line)) >= 5]
    if len(lines) < TEASER_LINES:
        return None
    broken = sum(bool(_BROKEN_OFF.search(line[-40:])) and not re.search(r"[\d=\\]", line[-20:]) for line in lines)
    return ("teasers", f"{broken} of {len(lines)} lines break off") if broken > TEASER_SHARE * len(lines) else None


FILTERS: tuple[Filter, ...] = (too_short, not_text, notice, repeated_lines, repeated_runs, menu, teasers)


def reason_to_drop(page: Page, config: CorpusConfig) -> Reason | None:
    """The first filter's reason and detail, or None."""
    for rule in FILTERS:
        if (reason := rule(page, config)) is not None:
            return reason
    return None
