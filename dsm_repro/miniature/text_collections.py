"""What OpenWebMath and MathPile are to the curated corpus, put together from the miniature's texts.

- ``openwebmath``: mathematical pages of the seed sites, which are not crawled. In §2.1, too, the
  classifier's positives are OpenWebMath; these pages are another draw than the seed of any crawl.
- ``mathpile``: ``latex_prose`` (85% of its characters; MathPile is more than 85% arXiv) and pages of the
  seed sites, forum and textbook, as its Stack Exchange and textbooks are.

Both are small on purpose: the 2.4 million tokens of continued pre-training at ``scale=mini`` go through
them as often as the paper's 150 billion went through theirs, 11.0 and 16.9 times (§2.2.1, Table 1).
A document of ``mathpile`` may be one of ``latex_prose``, as a paper of MathPile may be one of RedPajama.
"""

from __future__ import annotations

import functools

from dsm_repro.config.corpus_schema import WebConfig
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.text import MAX_CHARACTERS, MIN_CHARACTERS, documents, fingerprint, versions
from dsm_repro.miniature.web import PROBLEM_SEED_OFFSET, seed_documents

#: raise when the made pages or the sizes below change: they are no installed text, so no version names them
VERSION = 1
#: webs of their own: crawls use the small seeds
OPENWEBMATH_SEED, MATHPILE_SEED = 2_310_06786, 2_312_17120
#: 218,000 tokens of the tokenizer of scale=mini
OPENWEBMATH_PAGES = 614
#: with the pages of the seed sites, 142,000 of those tokens
MATHPILE_LATEX_CHARACTERS = 194_000
MATHPILE_LATEX_SHARE = 0.85
#: more pages than the rest of ``mathpile`` takes
_MATHPILE_PAGES = 120
#: a page works through 3 to 8 problems: enough that few come twice
_PROBLEMS_PER_PAGE = 6


def collection(kind: str) -> list[tuple[str, str]]:
    """(name, text) of every document of ``openwebmath`` or ``mathpile``, the same at every call."""
    return list(_openwebmath() if kind == "openwebmath" else _mathpile())


def collection_fingerprint(kind: str) -> str:
    """Name what the text of a collection comes from: its version here and those of packages.

    Raises:
        DataError: a package that it is made from is not installed.
    """
    pages = f"{kind}/{VERSION} {versions(['reasoning-gym'])}"
    return pages if kind == "openwebmath" else f"{pages} latex_prose({fingerprint('latex_prose')})"


@functools.cache
def _openwebmath() -> tuple[tuple[str, str], ...]:
    return _pages(OPENWEBMATH_SEED, OPENWEBMATH_PAGES)


@functools.cache
def _mathpile() -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    latex = 0
    for name, text in documents("latex_prose", MATHPILE_SEED):
        if latex + len(text) <= MATHPILE_LATEX_CHARACTERS:
            found.append((name, text))
            latex += len(text)
    room = latex * (1 / MATHPILE_LATEX_SHARE - 1)
    for name, text in _pages(MATHPILE_SEED, _MATHPILE_PAGES):
        room -= len(text)
        if room < 0:
            break
        found.append((name, text))
    return tuple(found)


def _pages(seed: int, count: int) -> tuple[tuple[str, str], ...]:
    """Pages of the seed sites, less those of a size that no document has."""
    train = problems("train", _PROBLEMS_PER_PAGE * count, PROBLEM_SEED_OFFSET + seed)
    pages = seed_documents(WebConfig(seed=seed), train, count)
    return tuple((page["url"], page["text"]) for page in pages if MIN_CHARACTERS <= len(page["text"]) <= MAX_CHARACTERS)
