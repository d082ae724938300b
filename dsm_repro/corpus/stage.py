"""Stage ``corpus``: crawl → extraction → dedup → decontamination → the loop → pages ranked by score."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.corpus.pages import Drop, Page, RawPage
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.reasoning.problemset import problem_files

#: kinds of text that the miniature web is made of: their sources' versions enter the identity
WEB_TEXT_KINDS = ("code", "prose")
#: pages handed to the extraction workers at once; also bounds what waits in memory
_BATCH = 1_000
_CHUNK = 50
#: pages a second of one core through all steps, and tokens a second of the classifier, for the plan
_PAGES_PER_SECOND = 150.0
_TOKENS_PER_PAGE = 500
_CLASSIFIER_TOKENS_PER_SECOND = 200_000.0


def identity(config: Config) -> dict[str, Any]:
    """What decides the pages: all of ``corpus`` but where files lie, the benchmark, the seed, the miniature's texts."""
    corpus = asdict(config.corpus)
    for key in ("paths", "seed_paths"):
        del corpus[key]
    found: dict[str, Any] = {
        "corpus": corpus,
        "seed": config.seeds.corpus,
        "benchmark": {"source": config.problems.source},
    }
    if config.problems.source == "miniature":
        found["benchmark"] |= {"problems": config.evaluation.problems, "seed": config.evaluation.problems_seed}
    if config.corpus.reader == "miniature":
        from dsm_repro.miniature.text import fingerprint

        found["web_text"] = {kind: fingerprint(kind) for kind in WEB_TEXT_KINDS}
    else:
        del corpus["web"]
        # file names are written into every page's source
        found["files"] = [path.name for path in _crawl_files(config)]
    return found


def inputs(config: Config) -> tuple[Path, ...]:
    """Crawl, seed and test files: their digests enter the key.

    Raises:
        ConfigError, DataError: a path is missing, before any work.
    """
    return (*_crawl_files(config), *_seed_files(config), *problem_files(config.problems, "test"))


def estimate(config: Config) -> Estimate:
    """Parsing and counting, no FLOPs worth the name. Pages of files are guessed from their size."""
    corpus = config.corpus
    if corpus.reader == "miniature":
        pages = float(corpus.web.pages)
    else:
        pages = sum(path.stat().st_size for path in _crawl_files(config)) / 5_000
    tokens = pages * _TOKENS_PER_PAGE
    trainings = corpus.rounds + 1
    seconds = pages / _PAGES_PER_SECOND + trainings * tokens * corpus.classifier.epochs / _CLASSIFIER_TOKENS_PER_SECOND
    buckets = 4.0 * corpus.classifier.bucket * corpus.classifier.dim
    return Estimate(tokens=tokens, seconds=seconds, disk_bytes=pages * 3_000, memory_bytes=buckets + pages * 20_000)


def run(ctx: StageContext) -> None:
    """Write ``pages.jsonl`` (all surviving pages by falling score), ``contamination.jsonl``, ``dropped.jsonl``, record.

    Raises:
        DataError: no record became a page, or no page is clean.
    """
    from dsm_repro.corpus.decontamination import BenchmarkIndex, benchmark_texts
    from dsm_repro.corpus.loop import curate
    from dsm_repro.corpus.minhash import group
    from dsm_repro.corpus.readers import read_texts
    from dsm_repro.corpus.truth import check_decontamination, check_duplicates, check_rounds, read_truth

    config = ctx.config.corpus
    index = BenchmarkIndex(benchmark_texts(ctx.config), config.decontamination)
    files, seed_files, reader, truth = _sources(ctx)
    seeds = read_texts(seed_files, "corpus.seed_paths")
    drops: list[Drop] = []
    counts: Counter[str] = Counter()

    kept = list(_extracted(ctx, reader, files, drops, counts))
    if not kept:
        reasons = dict(Counter(drop.reason for drop in drops))
        raise DataError(
            f"corpus: none of {counts['records']} records became a page: {reasons}. Check the crawl's files."
        )
    groups = group([page.text for page in kept], [page.tokens for page in kept], config.minhash)
    crawl = []
    for number, page in enumerate(kept):
        if groups.keeper[number] == number:
            crawl.append(page)
        else:
            drops.append(Drop(page.url, page.source, "near_duplicate", kept[groups.keeper[number]].url))
    evidence = {page.url: found for page in crawl if (found := index.search(page.url, page.text))}
    pool = [page for page in crawl if page.url not in evidence]
    drops += [
        Drop(page.url, page.source, "contaminated", evidence[page.url][0].benchmark)
        for page in crawl
        if page.url in evidence
    ]
    if not pool:
        raise DataError(
            f"corpus: all {len(crawl)} pages share an n-gram with the benchmark. "
            f"Raise corpus.decontamination.ngram={config.decontamination.ngram} or use another crawl."
        )
    ranked, rounds = curate(pool, crawl, seeds, config, ctx.config.seeds.corpus, ctx.scratch, ctx.progress)

    _write(ctx.out / "pages.jsonl", (
        {**asdict(item.page), "score": item.score, "rank": rank, "collected": item.collected}
        for rank, item in enumerate(ranked)
    ))  # fmt: skip
    _write(ctx.out / "contamination.jsonl", (asdict(hit) for hits in evidence.values() for hit in hits))
    # by reason and place: the order in which drops were noticed depends on the number of processes
    _write(ctx.out / "dropped.jsonl", map(asdict, sorted(drops, key=lambda drop: (drop.reason, drop.source, drop.url))))
    for item in rounds:
        state = item.state()
        logged = ("positives", "negatives", "pages", "tokens", "threshold", "overlap")
        ctx.log(item.number, **{key: state[key] for key in logged})
    ctx.cost.add_tokens("curated", sum(page.tokens for page in pool))
    labels = read_truth(truth) if truth is not None else None
    last = rounds[-1]
    ctx.record({
        "funnel": [
            ["records", counts["records"]], ["distinct_urls", counts["distinct"]], ["extracted", counts["extracted"]],
            ["quality", len(kept)], ["near_deduplicated", len(crawl)], ["decontaminated", len(pool)],
            ["collected", last.pages],
        ],
        "drops": dict(sorted(Counter(drop.reason for drop in drops).items())),
        "rounds": [item.state() for item in rounds],
        "domains": [{**asdict(domain), "share": domain.share} for domain in last.domains],
        "reviews": [{"round": item.number, **decision.state()} for item in rounds for decision in item.decisions],
        "score_threshold": last.threshold,
        "tokens": last.tokens,
        "token_unit": "words, numbers and signs (dsm_repro.corpus.tokens)",
        "top_tokens": config.top_tokens,
        "near_duplicates": {"proposed_pairs": groups.proposed, "verified_pairs": groups.verified},
        "benchmark": {"texts": index.texts, "too_short": index.too_short, "pages": len(evidence)},
        "truth": None if labels is None else {
            "rounds": check_rounds(rounds, pool, crawl, labels, config.domain_threshold),
            "near_duplicate_pairs": check_duplicates(kept, groups.keeper, labels),
            "decontamination": check_decontamination(crawl, evidence.keys(), labels),
        },
    })  # fmt: skip


def _crawl_files(config: Config) -> list[Path]:
    from dsm_repro.corpus.readers import input_files

    return input_files(config.corpus)


def _seed_files(config: Config) -> list[Path]:
    from dsm_repro.corpus.readers import READERS, expand

    if config.corpus.seed_paths:
        return expand(list(config.corpus.seed_paths), READERS["jsonl"].suffixes, "corpus.seed_paths")
    if config.corpus.reader != "miniature":
        raise ConfigError(
            "corpus.seed_paths=[]: the classifier needs positives. "
            "Give JSON lines with a field 'text' (§2.1: OpenWebMath)."
        )
    return []


def _sources(ctx: StageContext) -> tuple[list[Path], list[Path], str, Path | None]:
    """Crawl files, seed files, the reader for the crawl, and the truth file if there is one."""
    config = ctx.config.corpus
    if config.reader != "miniature":
        return _crawl_files(ctx.config), _seed_files(ctx.config), config.reader, None
    from dsm_repro.corpus.readers import READERS, expand
    from dsm_repro.miniature.web import write_web

    folder = ctx.scratch / "web"
    if folder.exists():  # a killed attempt's
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_web(config.web, folder)
    seeds = _seed_files(ctx.config) or [folder / "seed.jsonl"]
    return expand([str(folder)], READERS["warc"].suffixes, "miniature web"), seeds, "warc", folder / "truth.jsonl"


def _extracted(
    ctx: StageContext, reader: str, files: list[Path], drops: list[Drop], counts: Counter[str]
) -> Iterator[Page]:
    """Pages with a new URL and a text that passes the filters; everything else goes into ``drops``."""
    from dsm_repro.corpus.quality import reason_to_drop

    total = sum(path.stat().st_size for path in files)
    for outcome in _in_order(ctx, _distinct(ctx, reader, files, drops, counts)):
        if isinstance(outcome, Drop):
            drops.append(outcome)
        else:
            counts["extracted"] += 1
            reason = reason_to_drop(outcome, ctx.config.corpus)
            if reason is None:
                yield outcome
            else:
                drops.append(Drop(outcome.url, outcome.source, reason))
        if counts["extracted"] % 100 == 0:
            ctx.progress(counts["extracted"], max(counts["records"], total / 5_000), "pages")


def _distinct(
    ctx: StageContext, reader: str, files: list[Path], drops: list[Drop], counts: Counter[str]
) -> Iterator[RawPage]:
    """Records with an address that has not been seen, the first of each."""
    from dsm_repro.corpus.readers import read_files
    from dsm_repro.corpus.url import clean, dedup_key

    seen: set[str] = set()
    for item in read_files(reader, files, ctx.config.corpus.max_page_bytes):
        counts["records"] += 1
        if isinstance(item, Drop):
            drops.append(item)
            continue
        url = clean(item.url)
        if url is None:
            drops.append(Drop(item.url, item.source, "bad_url"))
            continue
        key = dedup_key(url)
        if key in seen:
            drops.append(Drop(url, item.source, "duplicate_url"))
            continue
        seen.add(key)
        counts["distinct"] += 1
        yield replace(item, url=url)


def _in_order(ctx: StageContext, raws: Iterator[RawPage]) -> Iterator[Page | Drop]:
    """Extraction on ``ctx.threads`` processes; results come in the order of the records."""
    from itertools import islice

    from dsm_repro.corpus.extraction import extract

    if ctx.threads <= 1:
        yield from map(extract, raws)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # spawn: a fork of a process with running threads can hang
    with ProcessPoolExecutor(ctx.threads, mp_context=get_context("spawn")) as pool:
        while batch := list(islice(raws, _BATCH)):
            yield from pool.map(extract, batch, chunksize=_CHUNK)


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


STAGE = Stage(
    name="corpus", version=1, parents=lambda config: (), identity=identity, run=run, estimate=estimate, inputs=inputs
)
