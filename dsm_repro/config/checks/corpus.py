"""Can curation work?"""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.checks.words import at_least, one_of, positive, probability
from dsm_repro.config.schema import Config

READERS = ("miniature", "warc", "wet", "html", "parquet", "jsonl", "hf")


def check_corpus(config: Config) -> Iterator[str]:
    corpus = config.corpus
    yield from one_of("corpus.reader", corpus.reader, READERS)
    if corpus.reader in READERS and corpus.reader != "miniature" and not corpus.paths:
        yield f"corpus.paths=[]: corpus.reader={corpus.reader} needs files. Set corpus.paths=[FILE,...] (globs work)."
    yield from at_least("corpus.top_tokens", corpus.top_tokens, 1)
    yield from at_least("corpus.rounds", corpus.rounds, 1)
    if not corpus.volumes:
        yield "corpus.volumes=[]: give at least one share of corpus.top_tokens; [1.0] is all of it in every round."
    for volume in corpus.volumes:
        yield from probability("corpus.volumes", volume, zero=False)
    yield from probability("corpus.domain_threshold", corpus.domain_threshold)
    yield from probability("corpus.stop_overlap", corpus.stop_overlap)
    yield from one_of("corpus.review", corpus.review, ("auto", "file"))
    if corpus.review == "file" and not corpus.review_file:
        yield "corpus.review_file: empty. Name the file in which URL paths are reviewed, or set corpus.review=auto."
    yield from probability("corpus.auto_accept_share", corpus.auto_accept_share)
    for code in corpus.languages:
        if not (len(code) == 2 and code.isascii() and code.islower()):
            yield f"corpus.languages: {code!r} is no ISO 639-1 code. Use codes such as en and zh."
    yield from at_least("corpus.extraction.max_page_bytes", corpus.extraction.max_page_bytes, 1_000)
    yield from at_least("corpus.extraction.max_depth", corpus.extraction.max_depth, 10)
    yield from positive("corpus.extraction.max_seconds", corpus.extraction.max_seconds)
    yield from one_of("corpus.minhash.signer", corpus.minhash.signer, ("datasketch", "rensa"))
    yield from probability("corpus.minhash.jaccard", corpus.minhash.jaccard)
    for key in ("bands", "rows", "ngram"):
        yield from at_least(f"corpus.minhash.{key}", getattr(corpus.minhash, key), 1)
    yield from probability("corpus.classifier.holdout_share", corpus.classifier.holdout_share)
    for key in ("dim", "word_ngrams", "min_count", "epochs", "bucket", "threads", "positives", "negatives"):
        yield from at_least(f"corpus.classifier.{key}", getattr(corpus.classifier, key), 1)
    gram = corpus.decontamination
    if not 1 <= gram.min_ngram <= gram.ngram:
        yield (
            f"corpus.decontamination.min_ngram={gram.min_ngram}: must lie between 1 and "
            f"corpus.decontamination.ngram={gram.ngram}."
        )
    for key in ("leak_share", "exact_duplicate_share", "near_duplicate_share"):
        yield from probability(f"corpus.web.{key}", getattr(corpus.web, key))
