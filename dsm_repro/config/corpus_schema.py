"""Curation of the corpus (§2.1): the miniature web, classifier, duplicates, decontamination, extraction."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class WebConfig:
    """The miniature web (``miniature.web``)."""

    pages: int = 4_000
    seed: int = 0
    #: share of pages that copy test problems verbatim (must be found by decontamination)
    leak_share: float = 0.01
    exact_duplicate_share: float = 0.03
    near_duplicate_share: float = 0.05


@dataclass
class ClassifierConfig:
    """fastText, §2.1."""

    dim: int = 256
    learning_rate: float = 0.1
    word_ngrams: int = 3
    min_count: int = 3
    epochs: int = 3
    bucket: int = 200_000
    #: 1 is bit-deterministic, more is not
    threads: int = 1
    positives: int = 500_000
    negatives: int = 500_000
    holdout_share: float = 0.1
    #: a small seed set is drawn repeatedly to reach ``positives``, but no page more often than this
    max_repeats: int = 20


@dataclass
class MinHashConfig:
    ngram: int = 5
    bands: int = 14
    rows: int = 8
    #: candidates are kept as duplicates when their exact Jaccard similarity reaches this
    jaccard: float = 0.8
    seed: int = 1
    #: datasketch (reference) | rensa (fast); their permutations differ, so they are two identities
    signer: str = "datasketch"


@dataclass
class DecontaminationConfig:
    """§2.1: exact n-grams, against the test questions of the arm and every further benchmark named here."""

    ngram: int = 10
    min_ngram: int = 3
    #: further benchmarks: JSON-lines files with ``question``, ``problem`` or ``text``, and ``solution``, ``cot`` or
    #: ``answer`` where known; named FOLDER/STEM, as in gsm8k/test
    benchmarks: list[str] = field(default_factory=list)
    #: benchmarks (gsm8k/test) and sources of the mix (math) that may go unchecked
    unchecked: list[str] = field(default_factory=list)


@dataclass
class ExtractionConfig:
    """Guards of one page: past them it is dropped with a reason, and the shard goes on."""

    max_page_bytes: int = 2_000_000
    #: elements inside one another
    max_depth: int = 500
    #: processor seconds
    max_seconds: float = 20.0


@dataclass
class CorpusConfig:
    """§2.1. ``reader`` is miniature | warc | wet | html | parquet | jsonl | hf."""

    reader: str = "miniature"
    #: files, folders, globs, any fsspec address; hf: data set ids or local folders
    paths: list[str] = field(default_factory=list)
    #: documents that seed the classifier's positives (jsonl, plain, gz or zst, or parquet, with ``text``);
    #: miniature: its own seed site
    seed_paths: list[str] = field(default_factory=list)
    #: the N of "top N tokens by score"
    top_tokens: int = 1_000_000
    #: trainings of the classifier, each with its own collection (§2.1: four)
    rounds: int = 4
    #: tokens that the rounds collect, relative to ``top_tokens``: 40B of 120B in the first and 89B in the second (§2.1,
    #: §5.1), and in the third nearly all, since 98% of the fourth were known from it; the last round takes all
    volumes: list[float] = field(default_factory=lambda: [0.3333, 0.7417, 1.0])
    domain_threshold: float = 0.10
    stop_overlap: float = 0.98
    #: who accepts URL paths: auto | file (a person edits ``review_file``; see `dsm review`)
    review: str = "auto"
    review_file: str = "review.yaml"
    #: review=auto accepts a path when at least this share of its own pages was collected
    auto_accept_share: float = 0.5
    min_characters: int = 100
    #: ISO 639-1 codes of the languages kept; empty keeps all (the paper's corpus is multilingual)
    languages: list[str] = field(default_factory=list)
    extraction: ExtractionConfig = field(default_factory=ExtractionConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    minhash: MinHashConfig = field(default_factory=MinHashConfig)
    decontamination: DecontaminationConfig = field(default_factory=DecontaminationConfig)
    web: WebConfig = field(default_factory=WebConfig)
