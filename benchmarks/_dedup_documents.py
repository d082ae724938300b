"""Generated pages with worked problems in prose, and copies of some of them whose similarity is known.

The truth is stated in the field's usual unit, runs of five white-space words, which is nobody's tokenizer here.
"""

from __future__ import annotations

import json
import random
import re
from itertools import islice
from pathlib import Path

from dsm_repro.corpus.crawl import write_pages
from dsm_repro.corpus.pages import Page
from dsm_repro.corpus.tokens import count_tokens
from dsm_repro.miniature.problems import problems
from dsm_repro.miniature.web_page import jaccard

WORDS = (300, 800)
#: kind of copy -> (share of the pages, least similarity, greatest, is it a near-duplicate)
KINDS: dict[str, tuple[float, float, float, bool]] = {
    "exact": (0.02, 1.0, 1.0, True),
    "edited": (0.08, 0.86, 0.98, True),
    "appended": (0.05, 0.86, 0.98, True),
    "rewritten": (0.05, 0.40, 0.65, False),
    "other numbers": (0.05, 0.0, 0.65, False),
}
TRUTH = "truth.json"
_ATTEMPTS = 20
_PROBLEMS = 4_000
_VOCABULARY = 30_000
_SYLLABLES = [c + v for c in "bcdfghklmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "er", "on")]
_NUMBER = re.compile(r"\d+")


def write_documents(count: int, files: int, out: Path, seed: int = 0) -> None:
    """Write ``count`` pages in ``files`` parquet shards, and ``truth.json``: [kind, row, row, similarity] by copy."""
    rng = random.Random(f"dedup/{seed}")
    writer = _Writer(rng)
    wanted = [kind for kind, (share, *_) in KINDS.items() for _ in range(round(share * count))]
    originals = [writer.original() for _ in range(count - len(wanted))]
    texts, copies = list(originals), []
    sources = iter(rng.sample(range(len(originals)), len(originals)))
    for kind in wanted:
        # a page of prose cannot be copied with other numbers: then the next one is
        source, copy = next((at, made) for at in sources if (made := writer.copy(kind, originals[at])))
        copies.append((kind, source, len(texts), copy[1]))
        texts.append(copy[0])
    place = list(range(count))
    rng.shuffle(place)  # place[i] is the row of text i
    rows = sorted(range(count), key=place.__getitem__)
    out.mkdir(parents=True, exist_ok=True)
    pages = (
        Page(f"http://e.org/{row}", "e.org", texts[at], count_tokens(texts[at]), str(row))
        for row, at in enumerate(rows)
    )
    size = -(-count // files)
    for number in range(files):
        write_pages(islice(pages, size), out / f"{number:05d}.parquet")
    truth = [[kind, *sorted((place[source], place[copy])), similarity] for kind, source, copy, similarity in copies]
    (out / TRUTH).write_text(json.dumps(truth))


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._problems = problems("train", _PROBLEMS, 7)
        self._words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(_VOCABULARY)]
        total, self._cumulative = 0.0, []
        for rank in range(_VOCABULARY):  # Zipf's law, as in natural text
            total += 1 / (rank + 5)
            self._cumulative.append(total)

    def original(self) -> str:
        """A page of ``WORDS`` words: problems with their solutions, and sentences between them."""
        size, parts = self._rng.randint(*WORDS), []
        while size > 0:
            if self._rng.random() < 0.5:
                problem = self._rng.choice(self._problems)
                parts.append(f"{problem.question}\n{problem.cot}")
            else:
                parts.append(self._sentence())
            size -= len(parts[-1].split())
        return "\n\n".join(parts)

    def copy(self, kind: str, text: str) -> tuple[str, float] | None:
        """A copy within the kind's bounds, and its similarity; None if no attempt is."""
        _, low, high, _ = KINDS[kind]
        for _ in range(_ATTEMPTS):
            changed = self._change(kind, text)
            similarity = jaccard(text, changed)
            if low <= similarity <= high:
                return changed, similarity
        return None

    def _change(self, kind: str, text: str) -> str:
        rng = self._rng
        if kind == "exact":
            return text
        if kind == "appended":
            return "\n\n".join([text, *(self._sentence() for _ in range(rng.randint(1, 3)))])
        if kind == "other numbers":
            return _NUMBER.sub(lambda found: str(int(found.group()) + rng.randint(1, 97)), text)
        words = re.split(r"(\s+)", text)
        share = rng.uniform(0.002, 0.015) if kind == "edited" else rng.uniform(0.04, 0.10)
        for at in rng.sample(range(0, len(words), 2), max(1, round(share * len(words) / 2))):
            words[at] = rng.choice(self._words)
        return "".join(words)

    def _sentence(self) -> str:
        words = self._rng.choices(self._words, cum_weights=self._cumulative, k=self._rng.randint(12, 40))
        return " ".join(words).capitalize() + "."
