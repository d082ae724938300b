"""Records of the stages ``crawl`` and ``corpus`` as a finished curation of a small web leaves them."""

from __future__ import annotations

import math
from typing import Any

from dsm_repro.reporting.records import Artifact, Run, Sweep

#: what a stranger can put into a page's address or text
HOSTILE_URL = "https://evil.example/<script>alert(1)</script>?q=`https://evil.example/a`[x](https://evil.example/b)\\|*"
HOSTILE_NGRAM = "</td><script>alert('ngram')</script> `code` a | b \u202e desrever"

REASONS = {
    "near_duplicate": 388, "duplicate_url": 90, "few_words": 21, "http_status": 12, "not_html": 12, "not_parsed": 12,
    "no_text": 9, "too_deep": 4, "too_large": 3, "truncated": 2, "repeated_lines": 1, "bad_url": 1,
}  # fmt: skip
SOURCE_TYPES = {"forum": 0.38, "encyclopedia": 0.22, "course": 0.17, "blog": 0.15, "code": 0.05, "shop": 0.03}
LANGUAGES = {"en": 0.86, "zh": 0.08, "fr": 0.03, "": 0.03}


def crawl_record() -> dict[str, Any]:
    return {
        "funnel": [
            ["records", 6000], ["extracted", 5945], ["quality", 5923], ["language", 5923], ["distinct_urls", 5833],
            ["near_deduplicated", 5445],
        ],
        "drops": dict(sorted(REASONS.items())),
        "drop_examples": {
            reason: [
                {"url": f"https://{reason.replace('_', '-')}.example/page/{i}", "source": f"web-0.warc.gz:{97 * i}",
                 "detail": f"https://kept.example/{i}" if reason == "near_duplicate" else ""}
                for i in range(3)
            ]
            for reason in REASONS
        },
        "duplicates": {
            "proposed_pairs": 421, "verified_pairs": 390, "groups": 301, "pages": 689,
            "examples": [
                {"kept": f"https://kept.example/{i}", "dropped": f"https://mirror.example/kept/{i}",
                 "jaccard": 1 - 0.04 * i}
                for i in range(5)
            ],
        },
        "composition": {
            "language": _counts(LANGUAGES, 5445, 2_900_000),
            "source_type": _counts(SOURCE_TYPES, 5445, 2_900_000),
        },
        "tokens": 2_900_000,
        "token_unit": "words, numbers and signs (dsm_repro.corpus.tokens)",
        "truth": {
            "near_duplicate_pairs": {"found": 390, "true": 392, "hits": 388, "precision": 388 / 390,
                                     "recall": 388 / 392}
        },
    }  # fmt: skip


def _counts(shares: dict[str, float], pages: int, tokens: int) -> dict[str, dict[str, int]]:
    return {name: {"pages": round(pages * s), "tokens": round(tokens * s)} for name, s in shares.items()}


def corpus_record(top_tokens: int = 600_000, rounds: int = 4) -> dict[str, Any]:
    """A curation that collects ``top_tokens`` of 2.9 M tokens, with the hidden labels of the miniature."""
    crawl = crawl_record()
    share = top_tokens / 2_900_000
    collected = round(5376 * share)
    states = [_round(number, top_tokens, collected, last=number == rounds) for number in range(1, rounds + 1)]
    edges = [i / 20 for i in range(21)]
    pages = [round(900 * math.exp(-i / 2) + 500 * math.exp((i - 19) / 3) + 12) for i in range(20)]
    cut = 20 - round(20 * share)
    return {
        "funnel": [*crawl["funnel"], ["decontaminated", 5376], ["collected", collected]],
        "drops": {**crawl["drops"], "contaminated": 69},
        "drop_examples": {
            **crawl["drop_examples"],
            "contaminated": [{"url": HOSTILE_URL, "source": "web-1.warc.gz:7", "detail": "miniature/test"}],
        },
        "duplicates": crawl["duplicates"],
        "rounds": states,
        "histogram": {
            "edges": edges, "pages": pages, "collected": [n if i >= cut else 0 for i, n in enumerate(pages)],
            "threshold": cut / 20,
        },
        "composition": _composition(top_tokens, collected),
        "domains": [
            {"domain": f"maths{i}.example", "pages": 200 - 3 * i, "collected": 150 - 3 * i,
             "share": (150 - 3 * i) / (200 - 3 * i), "first_round": 1 + i // 6,
             "examples": [f"https://maths{i}.example/questions/{j}" for j in range(3)]}
            for i in range(18)
        ],
        "reviews": [
            {"round": 1 + i // 7, "domain": f"maths{i % 18}.example", "path": f"/section{i}/", "pages": 40,
             "collected": i, "share": i / 40,
             "samples": [f"https://maths{i % 18}.example/section{i}/{j}" for j in range(3)],
             "accepted": i >= 20, "by": "auto"}
            for i in range(28)
        ],
        "review": "auto",
        "score_threshold": cut / 20 + 0.0016,
        "tokens": top_tokens + 88,
        "token_unit": crawl["token_unit"],
        "top_tokens": top_tokens,
        "benchmark": {
            "names": ["miniature/test@0123456789abcdef", "gsm8k/test@fedcba9876543210"],
            "by_benchmark": {
                "gsm8k/test": {"texts": 1319, "solutions": 1319, "too_short": 0, "pages": 9},
                "miniature/test": {"texts": 800, "solutions": 0, "too_short": 2, "pages": 60},
            },
            "ngram": 10, "min_ngram": 3, "pages": 69,
            "examples": [_evidence(HOSTILE_URL, "miniature/test", HOSTILE_NGRAM, 1.0, 1), *(
                _evidence(f"https://leak{i}.example/", "gsm8k/test", f"natalia sold {i} clips to 48 of her friends in",
                          0.9 - 0.1 * i, 1)
                for i in range(5)
            )],
            "shared": [_evidence("https://sums.example/", "gsm8k/test", "the sum of the first n natural numbers is n (",
                                 0.05, 14)],
        },
        "truth": {
            "rounds": [
                {
                    "round": r["round"],
                    "maths": _figures(r["pages"], 939, round(r["pages"] * (0.78 + 0.04 * r["round"]))),
                    "good_maths": _figures(r["pages"], 610, round(r["pages"] * 0.4)),
                    "domains": _figures(4 + 4 * r["round"], 20, 3 + 4 * r["round"]),
                }
                for r in states
            ],
            "decontamination": {"leaks": 60, "leaks_removed": 60, "others": 5385, "others_removed": 9},
        },
    }  # fmt: skip


def _evidence(url: str, benchmark: str, ngram: str, coverage: float, pages: int) -> dict[str, Any]:
    return {
        "url": url, "benchmark": benchmark, "item": "17", "part": "question", "ngram": ngram, "grams": 31,
        "coverage": coverage, "pages": pages, "domains": max(1, pages // 2),
        "context": f"Exercise. «{ngram} april, and then she sold half as many clips in May» Solution.",
    }  # fmt: skip


def _figures(found: int, true: int, hits: int) -> dict[str, Any]:
    hits = min(hits, true)
    return {"found": found, "true": true, "hits": hits, "precision": hits / found, "recall": hits / true}


def _round(number: int, top_tokens: int, collected: int, last: bool) -> dict[str, Any]:
    new = 14 if number == 1 else max(0, 4 - number)
    return {
        "round": number,
        "positives": 500 + 120 * number,
        "negatives": 5000 - 120 * number,
        "held_out": {
            "true_positives": 90 + number, "false_positives": 8 - number, "false_negatives": 10 - number,
            "true_negatives": 480, "precision": (90 + number) / 98, "recall": (90 + number) / 100,
        },
        "calibration": [
            {"low": i / 10, "high": (i + 1) / 10, "pages": 8 + 12 * abs(i - 5), "positive_share": (i / 9) ** 1.3}
            for i in range(10)
        ],
        "pages": collected - 10 * (4 - number),
        "tokens": top_tokens + 88,
        "threshold": 0.5016 + 0.01 * number,
        "overlap": None if number == 1 else 0.9 + 0.02 * number,
        "math_domains": 4 + 4 * number,
        "new_domains": [
            {"domain": f"new{number}-{i}.example", "pages": 90 - i, "collected": 30 - i, "share": (30 - i) / (90 - i),
             "examples": [f"https://new{number}-{i}.example/questions/a-rather-long-title-of-a-question/{j}"
                          for j in range(2)]}
            for i in range(new)
        ],
        "proposed_prefixes": 7,
        "accepted_prefixes": 2,
        "new_positives": 0 if last else 120,
        "funnel": {"scored": 5445, "collected": collected, "in_math_domains": round(0.9 * collected)},
    }  # fmt: skip


def _composition(top_tokens: int, collected: int) -> dict[str, Any]:
    def parts(shares: dict[str, float], good: str) -> dict[str, dict[str, int]]:
        rest = {name: (0.6 if name == good else 0.4 * s / (1 - shares[good])) for name, s in shares.items()}
        return {
            name: {**counts, "collected": round(collected * rest[name]),
                   "collected_tokens": round(top_tokens * rest[name])}
            for name, counts in _counts(shares, 5445, 2_900_000).items()
        }  # fmt: skip

    return {
        "domain": [
            {"domain": "evil`.example" if i == 2 else f"maths{i}.example", "pages": 200 - 3 * i,
             "tokens": 90_000 - 1000 * i, "collected": 150 - 3 * i,
             "collected_tokens": round(top_tokens * 0.12 * 0.88**i)}
            for i in range(30)
        ],
        "source_type": parts(SOURCE_TYPES, "forum"),
        "language": parts(LANGUAGES, "en"),
        "tokens": {
            "edges": [0, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, None],
            "pages": [60, 300, 1500, 1900, 900, 400, 200, 90, 20, 5, 1],
            "collected": [5, 40, 300, 450, 200, 70, 30, 12, 4, 1, 0],
        },
    }  # fmt: skip


def artifact(stage: str, key: str, record: dict[str, Any]) -> Artifact:
    return Artifact(stage, key, {}, record, {})


def run(
    arm: str,
    record: dict[str, Any] | None,
    crawl: dict[str, Any] | None = None,
    key: str = "k",
    seed: int = 0,
    **config: Any,
) -> Run:
    """A run with a crawl and a corpus; None leaves the corpus out, as after a failure."""
    found = {"crawl": artifact("crawl", "c", crawl_record() if crawl is None else crawl)}
    if record is not None:
        found["corpus"] = artifact("corpus", key, record)
    return Run(arm, seed, (), {"corpus": config}, {"crawl": "c", "corpus": key}, {}, found, None)


def sweep(*runs: Run) -> Sweep:
    return Sweep("test", {}, runs, {}, "", "")
