"""Processor time of every step of curation for one document, at growing numbers of documents."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _curation_documents import write_html, write_texts

MEMORY_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Cost:
    """``sort``: the step orders or merges all documents, so it may grow as n log n."""

    step: str
    documents: int
    seconds: float
    sort: bool

    @property
    def milliseconds(self) -> float:
        """Of one document."""
        return 1_000 * self.seconds / self.documents


def measure(count: int, html_count: int, words: int, folder: Path, model: Path) -> list[Cost]:
    """Every step once over the first ``count`` documents (extraction: over the first ``html_count``)."""
    texts = write_texts(count, words, folder / f"texts-{words}")
    work = folder / "work"
    found = []
    if html_count:
        pages = write_html(html_count, words, folder / f"html-{words}")
        found.append(_timed("read: extraction, filters, language", html_count, lambda: _read(pages, work / "read")))
    found += _shard_steps(count, texts, work, model)
    found += _global_steps(count, texts, work)
    shutil.rmtree(work, ignore_errors=True)
    return found


def train_model(folder: Path, words: int, *, dim: int, bucket: int) -> Path:
    """A classifier of the paper's kind trained on generated documents: its size matters here, not what it learned."""
    import fasttext

    from dsm_repro.corpus.classifier import line
    from dsm_repro.corpus.crawl import read_column

    path = folder / f"model-{words}-{dim}-{bucket}.bin"
    if not path.exists():
        (source,) = write_texts(1, words, folder / f"texts-{words}")
        lines = [line(text) for text in read_column(source, "text")]
        data = folder / "model.txt"
        data.write_text(
            "".join(f"__label__{'math' if at % 2 else 'other'} {text}\n" for at, text in enumerate(lines[:4_000]))
        )
        fasttext.train_supervised(
            str(data), dim=dim, lr=0.1, wordNgrams=3, minCount=3, epoch=1, bucket=bucket, thread=1, verbose=0
        ).save_model(str(path))
    return path


def _timed(step: str, count: int, work: Callable[[], object], *, sort: bool = False) -> Cost:
    start = time.process_time()
    work()
    return Cost(step, count, time.process_time() - start, sort)


def _read(files: Sequence[Path], out: Path) -> None:
    from dsm_repro.config.corpus_schema import CorpusConfig
    from dsm_repro.corpus.readers import plan_shards
    from dsm_repro.corpus.steps import ReadPages

    config = CorpusConfig(reader="jsonl", paths=[str(path) for path in files])
    config.minhash.signer = "rensa"
    for shard in plan_shards(config, 1):
        folder = out / shard.name
        folder.mkdir(parents=True)
        ReadPages("jsonl", config).run(shard, folder)


def _shard_steps(count: int, texts: Sequence[Path], work: Path, model: Path) -> list[Cost]:
    """Steps that see a shard at a time."""
    from dsm_repro.config.corpus_schema import MinHashConfig
    from dsm_repro.config.schema import Config
    from dsm_repro.corpus.crawl import read_column
    from dsm_repro.corpus.decontamination import BenchmarkIndex
    from dsm_repro.corpus.dedup import write_signatures, write_url_keys
    from dsm_repro.corpus.shards.step import Shard
    from dsm_repro.corpus.steps import FindContamination, ScorePages
    from dsm_repro.pipeline.identity import file_digest
    from dsm_repro.reasoning.benchmarks import benchmark_texts

    work.mkdir(parents=True, exist_ok=True)
    index = BenchmarkIndex.build(benchmark_texts(Config()), Config().corpus.decontamination)
    index.save(work / "index")
    shards = [Shard(number, (str(path),)) for number, path in enumerate(texts)]
    search = FindContamination(str(work / "index"), index.digest)
    score = ScorePages(str(model), file_digest(model))

    def each(name: str, do: Callable[[Shard, Path], object]) -> Callable[[], None]:
        def whole() -> None:
            for shard in shards:
                out = work / name / shard.name
                out.mkdir(parents=True)
                do(shard, out)

        return whole

    def sign(signer: str) -> Callable[[Shard, Path], object]:
        config = MinHashConfig(signer=signer)
        return lambda shard, out: write_signatures(read_column(Path(shard.inputs[0]), "text"), config, out)

    return [
        _timed("URL keys", count, each("urls", lambda shard, out: write_url_keys(
            read_column(Path(shard.inputs[0]), "url"), out))),
        _timed("signatures, rensa", count, each("rensa", sign("rensa"))),
        _timed("signatures, datasketch", count, each("datasketch", sign("datasketch"))),
        _timed("decontamination", count, each("evidence", search.run)),
        _timed("classification", count, each("scores", score.run)),
    ]  # fmt: skip


def _global_steps(count: int, texts: Sequence[Path], work: Path) -> list[Cost]:
    """Steps that see all documents at once, after those of :func:`_shard_steps`."""
    import numpy as np

    from dsm_repro.config.corpus_schema import MinHashConfig
    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.dedup import cluster, duplicate_urls
    from dsm_repro.corpus.domains import mathematical, partition, prefixes
    from dsm_repro.corpus.selection import select, url_ranks
    from dsm_repro.corpus.steps import SCORES

    names = [f"{number:05d}" for number in range(len(texts))]
    crawl = Crawl(texts)
    keys = [work / "urls" / name for name in names]
    bands = [work / "rensa" / name for name in names]
    config = MinHashConfig(signer="rensa")
    scores = np.concatenate([np.load(work / "scores" / name / SCORES) for name in names])
    tokens = np.array(crawl.tokens)
    everything = np.ones(len(crawl), dtype=bool)
    collected = select(scores, tokens, np.arange(len(crawl)), everything, tokens.sum() // 5).collected

    def domains() -> None:
        parted = partition(crawl.domains)
        found = mathematical(parted, collected, 0.1)
        prefixes(crawl.urls, parted, everything, collected, ~collected, found, 0.5)

    return [
        _timed("columns into memory", count, lambda: Crawl(texts)),
        _timed("duplicate addresses", count, lambda: duplicate_urls(keys, MEMORY_BYTES), sort=True),
        _timed("near-duplicate groups", count, lambda: cluster(
            bands, crawl.texts, crawl.tokens, config, MEMORY_BYTES, work / "cluster"), sort=True),
        _timed("addresses in order", count, lambda: url_ranks(crawl.urls), sort=True),
        _timed("top tokens by score", count, lambda: select(
            scores, tokens, np.arange(len(crawl)), everything, tokens.sum() // 5), sort=True),
        _timed("domains and URL paths", count, domains, sort=True),
    ]  # fmt: skip
