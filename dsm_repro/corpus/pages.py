"""What flows through curation: a raw page, an extracted page, or a drop with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RawPage:
    """A record as a reader found it: ``body`` is HTML (bytes or text), or plain text when ``html`` is false.

    ``source`` says where it lies (file name and position), so that every page can be traced.
    """

    url: str
    body: bytes | str
    html: bool
    source: str
    charset: str | None = None


@dataclass(frozen=True)
class Page:
    """A page whose text has been extracted. ``tokens`` counts :func:`dsm_repro.corpus.tokens.tokenize`."""

    url: str
    domain: str
    text: str
    tokens: int
    source: str
    #: ISO 639-1 code, or "" where the text does not tell
    language: str = ""
    #: what kind of place the address is (forum, encyclopedia, ...): for the report, nothing is decided by it
    source_type: str = ""


@dataclass(frozen=True)
class Drop:
    """A record that left the corpus, and why: ``reason`` is counted, ``detail`` is for a person."""

    url: str
    source: str
    reason: str
    detail: str = ""
