"""Stage ``crawl``: records → pages with text, filtered, each once. Benchmarks and budgets come after it.

What it makes depends on the files and on how they are read, so arms that differ in the size of their
corpus, in the review or in the benchmarks share it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import Config
from dsm_repro.corpus.drops import DropTally
from dsm_repro.corpus.shards.step import Runner, Shard, read_counts
from dsm_repro.corpus.steps import (
    DROPPED,
    PAGES,
    SIGNATURES,
    URL_KEYS,
    KeepPages,
    ReadPages,
    kept_part,
    read_rows,
    write_rows,
)
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext

if TYPE_CHECKING:
    from dsm_repro.corpus.copies import Copies
    from dsm_repro.corpus.crawl import Crawl

#: parts of ``corpus`` that decide which pages there are
READ_FIELDS = ("reader", "min_characters", "languages", "extraction", "minhash", "web")
#: kinds of text that the miniature web is made of: their sources' versions enter the identity
WEB_TEXT_KINDS = ("code", "prose")
#: pages in one file of the artifact, whatever the shards were in which they were read
PAGES_PER_FILE = 10_000
DUPLICATE_EXAMPLES = 5
TOKEN_UNIT = "words, numbers and signs (dsm_repro.corpus.tokens)"
#: the miniature's own files, kept beside its pages
TRUTH, SEED = "truth.jsonl", "seed.jsonl"
#: pages a second of one core through all steps, for the plan
_PAGES_PER_SECOND = 250.0
_TOKENS_PER_PAGE = 500
_BYTES_PER_PAGE = 5_000


def identity(config: Config) -> dict[str, Any]:
    """What decides the pages; files enter by their content (``inputs``) or, where they are remote, by ``listing``."""
    corpus = asdict(config.corpus)
    found: dict[str, Any] = {name: corpus[name] for name in READ_FIELDS}
    if config.corpus.reader == "miniature":
        from dsm_repro.miniature.text import fingerprint

        found["web_text"] = {kind: fingerprint(kind) for kind in WEB_TEXT_KINDS}
    else:
        from dsm_repro.corpus.readers import listing

        del found["web"]
        found["files"] = listing(config.corpus)
    return found


def inputs(config: Config) -> tuple[Path, ...]:
    """The crawl's local files: their digests enter the key.

    Raises:
        ConfigError, DataError: a path is missing, before any work.
    """
    if config.corpus.reader == "miniature":
        return ()
    from dsm_repro.corpus.readers import local_inputs

    return local_inputs(config.corpus)


def page_estimate(config: Config) -> float:
    """How many pages to expect: those of the miniature web, or a guess from the files' sizes."""
    if config.corpus.reader == "miniature":
        return float(config.corpus.web.pages)
    from dsm_repro.corpus.readers import total_bytes

    return total_bytes(config.corpus) / _BYTES_PER_PAGE


def estimate(config: Config) -> Estimate:
    """Parsing and hashing: no FLOPs worth the name."""
    pages = page_estimate(config)
    shards = config.execution.shards
    return Estimate(
        tokens=pages * _TOKENS_PER_PAGE,
        seconds=pages / _PAGES_PER_SECOND,
        disk_bytes=pages * 3_000,
        memory_bytes=min(pages * 20_000, shards.memory_bytes + 4.0 * shards.shard_bytes),
    )


def run(ctx: StageContext) -> None:
    """Write ``pages/*.parquet``, ``dropped.jsonl``, ``duplicates.jsonl`` and the record.

    Raises:
        DataError: no record became a page.
    """
    from dsm_repro.corpus.copies import find_copies
    from dsm_repro.corpus.crawl import Crawl
    from dsm_repro.corpus.shards import runner

    run_step = runner(ctx.config.execution.shards, ctx.threads)
    reader, shards = _shards(ctx)
    read = ctx.scratch / "read"
    step = ReadPages(reader, ctx.config.corpus)
    run_step(step, shards, read, lambda done, total: ctx.progress(done, total, "shards read"))
    folders = [read / shard.name for shard in shards]
    counts: Counter[str] = Counter()
    for folder in folders:
        counts.update(read_counts(folder))
    if not counts["language"]:
        reasons = dict(Counter(row["reason"] for row in read_rows(folder / DROPPED for folder in folders)))
        raise DataError(
            f"corpus: none of {counts['records']} records became a page: {reasons}. Check the crawl's files."
        )
    found = Crawl([folder / PAGES for folder in folders])
    copies = find_copies(
        found,
        [folder / URL_KEYS for folder in folders],
        [folder / SIGNATURES for folder in folders],
        ctx.config.corpus.minhash,
        ctx.config.execution.shards.memory_bytes,
        ctx.scratch / "dedup",
    )
    kept = _keep(ctx, run_step, found, copies)
    write_rows(ctx.out / "duplicates.jsonl", copies.rows(found))
    drops = DropTally()
    # in the order of the records, so that it does not depend on how they were cut into shards
    dropped = chain(read_rows(folder / DROPPED for folder in folders), map(asdict, copies.drops(found)))
    write_rows(ctx.out / DROPPED, drops.counted(dropped))
    _record(ctx, counts, found, kept, copies, drops)


def _record(
    ctx: StageContext, counts: Counter[str], found: Crawl, kept: Crawl, copies: Copies, drops: DropTally
) -> None:
    from dsm_repro.corpus.truth import check_duplicates, read_truth

    tokens = sum(kept.tokens)
    ctx.cost.add_tokens("crawled", tokens)
    truth = None
    if (ctx.out / TRUTH).exists():
        pairs = check_duplicates(found.urls, copies.keepers(), read_truth(ctx.out / TRUTH))
        truth = {"near_duplicate_pairs": pairs}
    ctx.record({
        "funnel": [
            *([name, counts[name]] for name in ("records", "extracted", "quality", "language")),
            ["distinct_urls", len(found) - copies.by_url], ["near_deduplicated", len(kept)],
        ],
        **drops.state(),
        "duplicates": copies.state(found, DUPLICATE_EXAMPLES),
        "composition": {
            "language": _shares(kept.languages, kept.tokens), "source_type": _shares(kept.source_types, kept.tokens),
        },
        "tokens": tokens,
        "token_unit": TOKEN_UNIT,
        "truth": truth,
    })  # fmt: skip


def _shards(ctx: StageContext) -> tuple[str, list[Shard]]:
    """The reader, and the shards of its files; the miniature web is written first, its truth into the artifact."""
    from dsm_repro.corpus.readers import plan_shards

    config = ctx.config.corpus
    size = ctx.config.execution.shards.shard_bytes
    if config.reader != "miniature":
        return config.reader, plan_shards(config, size)
    from dsm_repro.miniature.web import write_web

    folder = ctx.scratch / "web"
    if folder.exists():  # a killed attempt's
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_web(config.web, folder)
    for name in (TRUTH, SEED):
        shutil.copy(folder / name, ctx.out / name)
    return "warc", plan_shards(replace(config, reader="warc", paths=[str(folder)]), size)


def _keep(ctx: StageContext, run_step: Runner, found: Crawl, copies: Copies) -> Crawl:
    """Publish the pages that stay under ``pages/``, ``PAGES_PER_FILE`` to a file."""
    from dsm_repro.corpus.crawl import Crawl

    starting = [row for index, row in enumerate(copies.staying(found)) if index % PAGES_PER_FILE == 0]
    ends = [*starting[1:], len(found)]
    shards = [
        Shard(number, tuple(kept_part(found.files[file], rows) for file, rows in found.parts(start, end)))
        for number, (start, end) in enumerate(zip(starting, ends, strict=True))
    ]
    step = KeepPages(copies.save(found, ctx.scratch / "gone"))
    run_step(step, shards, ctx.scratch / "keep", lambda done, total: ctx.progress(done, total, "shards kept"))
    (ctx.out / "pages").mkdir(exist_ok=True)
    for shard in shards:
        shutil.copy(ctx.scratch / "keep" / shard.name / PAGES, ctx.out / "pages" / f"{shard.name}.parquet")
    return Crawl.of(ctx.out)


def _shares(names: Sequence[str], tokens: Sequence[int]) -> dict[str, dict[str, int]]:
    pages: Counter[str] = Counter(names)
    sums: Counter[str] = Counter()
    for name, count in zip(names, tokens, strict=True):
        sums[name] += count
    return {name: {"pages": pages[name], "tokens": sums[name]} for name in sorted(pages)}


STAGE = Stage(
    name="crawl", version=1, parents=lambda config: (), identity=identity, run=run, estimate=estimate, inputs=inputs
)
