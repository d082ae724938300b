"""From a raw page to its main text, with the mathematics kept and the boilerplate gone."""

from __future__ import annotations

from dsm_repro.corpus.extraction.main_text import main_text
from dsm_repro.corpus.extraction.page import extract

__all__ = ["extract", "main_text"]
