"""One record: from raw bytes to a page, or to a drop with its reason."""

from __future__ import annotations

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.extraction.decoding import decode, well_formed
from dsm_repro.corpus.extraction.guards import PageRefusedError, check_size, time_limit
from dsm_repro.corpus.extraction.main_text import main_text, tidy
from dsm_repro.corpus.language import identify
from dsm_repro.corpus.pages import Drop, Page, RawPage
from dsm_repro.corpus.source_type import source_type
from dsm_repro.corpus.tokens import count_tokens
from dsm_repro.corpus.url import MAX_URL_CHARACTERS, clean, domain

_DETAIL_CHARACTERS = 200


def extract(raw: RawPage, config: CorpusConfig) -> Page | Drop:
    """The page with its text, language and source type, or why there is none. Never raises on what a page holds.

    Reasons: ``bad_url``, ``too_large``, ``too_many_elements``, ``too_deep``, ``too_slow``, ``not_parsed``,
    ``no_text``. Time and memory are bounded by :mod:`dsm_repro.corpus.extraction.guards`.
    """
    source = well_formed(raw.source)
    url = clean(raw.url)
    if url is None:
        return Drop(well_formed(raw.url[:MAX_URL_CHARACTERS]), source, "bad_url")
    try:
        check_size(raw.body, config.extraction.max_page_bytes)
        with time_limit(config.extraction.max_seconds):
            body = decode(raw.body, raw.charset)
            text = main_text(body, config.extraction) if raw.html else tidy(body)
            if not text:
                return Drop(url, source, "no_text")
            kind = source_type(url, body if raw.html else None)
            return Page(url, domain(url), text, count_tokens(text), source, identify(text), kind)
    except PageRefusedError as refusal:
        return Drop(url, source, refusal.reason, refusal.detail)
    except ValueError as error:
        return Drop(url, source, "not_parsed", well_formed(str(error))[:_DETAIL_CHARACTERS])
