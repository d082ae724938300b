"""Language identification: py3langid, which ships its model, on the prose between the formulas.

A text that does not tell gets no code rather than a wrong one: formulas alone, code, tables of numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from operator import itemgetter
from typing import Any

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.pages import Page

#: the model's own probability below which the text does not tell
MIN_PROBABILITY = 0.5
#: bytes of prose that are enough to tell, and as many as are looked at: with 500 no manual of Apache's in
#: eleven languages gets another code than with all its text
MIN_PROSE, MAX_PROSE = 40, 500
#: signs of text in which the prose is looked for
_MAX_TEXT = 4_000
_FORMULA = re.compile(
    r"\$\$[^$]{0,2000}\$\$|\$[^$\n]{0,500}\$|\\\([^\n]{0,500}?\\\)|\\\[.{0,2000}?\\\]"
    r"|\\begin\{(\w+)\*?\}.{0,2000}?\\end\{\1\*?\}|[\^_]\{[^{}]*\}|\\[A-Za-z]+",
    re.DOTALL,
)
#: a word of one letter is a variable, an identifier is code; Chinese and Japanese write without spaces
_WORD = re.compile(r"(?<![\w\\./:])[^\W\d_]{2,}+(?:['’-][^\W\d_]++)*+(?![\w(=\[]|[.:]\w)|[\u3040-\u30ff\u3400-\u9fff]+")
#: codes of the model that ISO 639-1 has no code for, or that are written as another one
_SAME = {"yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "uzs": "uz", "sdh": "ku", "nn": "no", "zxx": ""}


def identify(text: str) -> str:
    """ISO 639-1 code of the language of a text, or "" where it does not tell."""
    # each word once: the keywords of a program are few
    words = dict.fromkeys(_WORD.findall(_FORMULA.sub(" ", text[:_MAX_TEXT])))
    prose = " ".join(words).encode("utf-8", "ignore")[:MAX_PROSE]
    if len(prose) < MIN_PROSE:
        return ""
    code, share = _identifier().classify(prose)
    if share < MIN_PROBABILITY:
        # varieties of one language may divide it between them
        shares: Counter[str] = Counter()
        for name, part in _identifier().rank(prose):
            shares[_SAME.get(name, name)] += part
        code, share = max(shares.items(), key=itemgetter(1))
    return _SAME.get(code, code) if share >= MIN_PROBABILITY else ""


def keep(page: Page, config: CorpusConfig) -> tuple[str, str] | None:
    """Reason and detail to drop a page in no language of ``corpus.languages``; None keeps it, as an empty list does."""
    if not config.languages or page.language in config.languages:
        return None
    return "language", page.language or "not told"


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in identifier.labels if len(code) == 2 or code in _SAME])
    return identifier
