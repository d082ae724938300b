"""Stage ``corpus``: the crawl's pages → decontamination → the loop of §2.1 → pages ranked by score."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.corpus.crawl_stage import SEED, TOKEN_UNIT, TRUTH, page_estimate
from dsm_repro.corpus.drops import DropTally
from dsm_repro.corpus.shards.step import Runner, Shard
from dsm_repro.corpus.steps import EVIDENCE, SCORES, FindContamination, ScorePages, read_rows, write_rows
from dsm_repro.pipeline.identity import file_digest
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext

if TYPE_CHECKING:
    import numpy as np

    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.decontamination import BenchmarkIndex
    from dsm_repro.corpus.loop import Round
    from dsm_repro.corpus.selection import Ranking

#: parts of ``corpus`` that decide which of the crawl's pages are collected
LOOP_FIELDS = (
    "top_tokens", "rounds", "volumes", "domain_threshold", "stop_overlap", "review", "auto_accept_share", "classifier",
    "decontamination",
)  # fmt: skip
#: ``pages.jsonl`` reaches this far below the cut, in multiples of ``top_tokens``, for mixes that take more
RESERVE = 4
#: pages whose texts are in memory at once while ``pages.jsonl`` is written
_WRITE_BATCH = 20_000
_TOKENS_PER_PAGE = 500
_CLASSIFIER_TOKENS_PER_SECOND = 200_000.0
_SCORED_PAGES_PER_SECOND = 1_000.0


def identity(config: Config) -> dict[str, Any]:
    """What decides the selection, beside the crawl's key: the loop, its seed, and the benchmarks."""
    from dsm_repro.reasoning.benchmarks import benchmark_identity

    corpus = asdict(config.corpus)
    found = {name: corpus[name] for name in LOOP_FIELDS}
    # what an arm may be evaluated on changes no page; further benchmarks enter by content
    found["decontamination"] = {
        name: value for name, value in found["decontamination"].items() if name not in ("unchecked", "benchmarks")
    }
    if config.corpus.review != "auto":
        del found["auto_accept_share"]
    return {"corpus": found, "seed": config.seeds.corpus, "benchmarks": benchmark_identity(config)}


def inputs(config: Config) -> tuple[Path, ...]:
    """Seed, review and benchmark files: their digests enter the key.

    Raises:
        ConfigError, DataError: a path is missing, before any work.
    """
    from dsm_repro.corpus.review import review_inputs
    from dsm_repro.reasoning.benchmarks import benchmark_files

    return (*_seed_files(config), *review_inputs(config), *benchmark_files(config))


def estimate(config: Config) -> Estimate:
    """Training and scoring of the classifier in every round."""
    pages = page_estimate(config)
    part = config.corpus.classifier
    drawn = min(part.positives + part.negatives, 2 * part.max_repeats * pages) * _TOKENS_PER_PAGE
    trained = config.corpus.rounds * drawn * part.epochs / _CLASSIFIER_TOKENS_PER_SECOND
    return Estimate(
        tokens=pages * _TOKENS_PER_PAGE,
        seconds=trained + config.corpus.rounds * pages / _SCORED_PAGES_PER_SECOND,
        disk_bytes=3_000 * min(pages, RESERVE * config.corpus.top_tokens / _TOKENS_PER_PAGE),
        memory_bytes=4.0 * part.bucket * part.dim + pages * 500,
    )


def run(ctx: StageContext) -> None:
    """Write ``pages.jsonl`` (by falling score), ``contamination.jsonl``, ``dropped.jsonl``, the classifier, the record.

    Raises:
        DataError: no page is clean.
        ReviewNeeded: ``corpus.review=file``, and URL paths wait for a person's decision.
    """
    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.loop import curate
    from dsm_repro.corpus.review import reviewer
    from dsm_repro.corpus.shards import runner

    config = ctx.config.corpus
    run_step = runner(ctx.config.execution.shards, ctx.threads)
    crawl = Crawl.of(ctx.parents["crawl"])
    shards = [Shard(number, (str(path),)) for number, path in enumerate(crawl.files)]
    index = _index(ctx)
    evidence = _contamination(ctx, run_step, shards, crawl, index)
    dirty = {row["row"] for row in evidence}
    clean = [row not in dirty for row in range(len(crawl))]
    if not any(clean):
        raise DataError(
            f"corpus: all {len(crawl)} pages share an n-gram with a benchmark. "
            f"Raise corpus.decontamination.ngram={config.decontamination.ngram} or use another crawl."
        )
    ranking, rounds = curate(
        crawl, clean, _seeds(ctx), config, ctx.config.seeds.corpus, ctx.scratch,
        score=_scorer(ctx, run_step, shards), review=reviewer(ctx.config), on_progress=ctx.progress,
    )  # fmt: skip
    shutil.copy(rounds[-1].model, ctx.out / "classifier.bin")
    write_rows(ctx.out / "pages.jsonl", _ranked_pages(crawl, ranking, RESERVE * config.top_tokens))
    for item in rounds:
        state = item.state()
        logged = ("positives", "negatives", "pages", "tokens", "threshold", "overlap")
        ctx.log(item.number, **{key: state[key] for key in logged})
    ctx.cost.add_tokens("curated", sum(count for count, good in zip(crawl.tokens, clean, strict=True) if good))
    _record(ctx, crawl, clean, evidence, index, ranking, rounds)


def _index(ctx: StageContext) -> BenchmarkIndex:
    from dsm_repro.corpus.decontamination import BenchmarkIndex
    from dsm_repro.reasoning.benchmarks import benchmark_texts

    return BenchmarkIndex.build(benchmark_texts(ctx.config), ctx.config.corpus.decontamination)


def _contamination(
    ctx: StageContext, run_step: Runner, shards: Sequence[Shard], crawl: Crawl, index: BenchmarkIndex
) -> list[dict[str, Any]]:
    """Evidence of every contaminated page, with its row in the crawl, in order."""
    from dsm_repro.corpus.decontamination import with_frequencies

    path = ctx.scratch / "benchmarks.index"
    index.save(path)
    folder = ctx.scratch / "decontaminate"
    step = FindContamination(str(path), index.digest)
    run_step(step, shards, folder, lambda done, total: ctx.progress(done, total, "shards checked"))
    found = (
        {**row, "row": crawl.starts[shard.number] + row["row"]}
        for shard in shards
        for row in read_rows([folder / shard.name / EVIDENCE])
    )
    return with_frequencies(found, crawl.domains)


def _scorer(ctx: StageContext, run_step: Runner, shards: Sequence[Shard]) -> Callable[[Path], np.ndarray]:
    """Scores of all rows by a saved classifier, computed in shards."""

    def score(model: Path) -> np.ndarray:
        import numpy as np

        digest = file_digest(model)
        folder = ctx.scratch / "score" / digest[:16]
        step = ScorePages(str(model), digest)
        run_step(step, shards, folder, lambda done, total: ctx.progress(done, total, "shards scored"))
        return np.concatenate([np.load(folder / shard.name / SCORES) for shard in shards])

    return score


def _seeds(ctx: StageContext) -> list[str]:
    from dsm_repro.corpus.readers import read_texts

    files = _seed_files(ctx.config) or [ctx.parents["crawl"] / SEED]
    return read_texts(files, "corpus.seed_paths")


def _seed_files(config: Config) -> list[Path]:
    from dsm_repro.corpus.readers import seed_files

    if config.corpus.seed_paths:
        return seed_files(config.corpus)
    if config.corpus.reader != "miniature":
        raise ConfigError(
            "corpus.seed_paths=[]: the classifier needs positives. "
            "Give JSON lines with a field 'text' (§2.1: OpenWebMath)."
        )
    return []


def _ranked_pages(crawl: Crawl, ranking: Ranking, tokens: int) -> Iterator[dict[str, Any]]:
    """Rows of ``pages.jsonl``: the best pages until their tokens reach ``tokens``."""
    rows = ranking.rows_until(tokens)
    for start in range(0, len(rows), _WRITE_BATCH):
        batch = rows[start : start + _WRITE_BATCH]
        for rank, (row, text) in enumerate(zip(batch, crawl.texts(batch), strict=True), start):
            yield {
                "rank": rank,
                "url": crawl.urls[row],
                "domain": crawl.domains[row],
                "text": text,
                "tokens": crawl.tokens[row],
                "source": crawl.sources[row],
                "language": crawl.languages[row],
                "source_type": crawl.source_types[row],
                "score": float(ranking.scores[row]),
                "collected": bool(ranking.collected[row]),
            }


def _record(
    ctx: StageContext,
    crawl: Crawl,
    clean: Sequence[bool],
    evidence: Sequence[dict[str, Any]],
    index: BenchmarkIndex,
    ranking: Ranking,
    rounds: Sequence[Round],
) -> None:
    from dsm_repro.corpus.composition import composition
    from dsm_repro.corpus.decontamination import benchmark_state
    from dsm_repro.corpus.loop import collected_domains, reviews
    from dsm_repro.corpus.truth import check_decontamination, check_rounds, read_truth

    config = ctx.config.corpus
    before = _crawl_record(ctx)
    write_rows(ctx.out / "contamination.jsonl", evidence)
    first = {row["row"]: row for row in reversed(evidence)}
    tally = DropTally()
    contaminated = (
        {"url": row["url"], "source": crawl.sources[at], "reason": "contaminated", "detail": row["benchmark"]}
        for at, row in sorted(first.items())
    )
    write_rows(ctx.out / "dropped.jsonl", tally.counted(contaminated))
    here = tally.state()
    last = rounds[-1]
    labels = read_truth(ctx.parents["crawl"] / TRUTH) if (ctx.parents["crawl"] / TRUTH).exists() else None
    ctx.record({
        "funnel": [*before["funnel"], ["decontaminated", sum(clean)], ["collected", last.pages]],
        **{name: dict(sorted({**before[name], **here[name]}.items())) for name in here},
        "duplicates": before["duplicates"],
        "rounds": [item.state() for item in rounds],
        "histogram": ranking.histogram(),
        "composition": composition(crawl, ranking),
        "domains": collected_domains(rounds),
        "reviews": reviews(rounds),
        "review": config.review,
        "score_threshold": last.threshold,
        "tokens": last.tokens,
        "token_unit": TOKEN_UNIT,
        "top_tokens": config.top_tokens,
        "benchmark": benchmark_state(index, evidence),
        "truth": None if labels is None else {
            "rounds": check_rounds(rounds, crawl, clean, labels, config.domain_threshold),
            "decontamination": check_decontamination(crawl.urls, {crawl.urls[at] for at in first}, labels),
        },
    })  # fmt: skip


def _crawl_record(ctx: StageContext) -> dict[str, Any]:
    import json

    record: dict[str, Any] = json.loads((ctx.parents["crawl"] / "record.json").read_text(encoding="utf-8"))
    return record


STAGE = Stage(
    name="corpus",
    version=2,
    parents=lambda config: ("crawl",),
    identity=identity,
    run=run,
    estimate=estimate,
    inputs=inputs,
)
