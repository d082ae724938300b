"""The sharded steps of curation: reading, keeping what deduplication keeps, scoring.

Each is a frozen dataclass whose fields decide its output (see :mod:`dsm_repro.corpus.shards.step`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsm_repro.config.corpus_schema import CorpusConfig
from dsm_repro.corpus.pages import Drop, Page
from dsm_repro.corpus.shards.step import Shard

PAGES, DROPPED, URL_KEYS, SIGNATURES = "pages.parquet", "dropped.jsonl", "url_keys", "bands"
SCORES, EVIDENCE = "scores.npy", "evidence.jsonl"


@dataclass(frozen=True)
class ReadPages:
    """Records of the shard's files → pages with URL, text, language and quality, and what deduplication needs.

    Writes ``pages.parquet``, ``dropped.jsonl``, the keys of the URLs and the MinHash bands of the texts.
    Counts: records, extracted, quality, language (pages left after each).
    """

    reader: str
    config: CorpusConfig
    name = "read"
    version = 1

    def run(self, shard: Shard, out: Path) -> dict[str, int]:
        from dsm_repro.corpus.crawl import read_column, write_pages
        from dsm_repro.corpus.dedup import write_signatures, write_url_keys

        counts: Counter[str] = Counter(records=0, extracted=0, quality=0, language=0)
        with (out / DROPPED).open("w", encoding="utf-8") as dropped:
            write_pages(self._pages(shard, counts, dropped), out / PAGES)
        write_url_keys(read_column(out / PAGES, "url"), out / URL_KEYS)
        write_signatures(read_column(out / PAGES, "text"), self.config.minhash, out / SIGNATURES)
        return dict(counts)

    def _pages(self, shard: Shard, counts: Counter[str], dropped: Any) -> Iterator[Page]:
        from dsm_repro.corpus import language
        from dsm_repro.corpus.extraction import extract
        from dsm_repro.corpus.extraction.decoding import well_formed
        from dsm_repro.corpus.quality import reason_to_drop
        from dsm_repro.corpus.readers import read_shard

        for raw in read_shard(self.reader, shard.inputs, self.config.extraction):
            counts["records"] += 1
            page = raw if isinstance(raw, Drop) else extract(raw, self.config)
            if isinstance(page, Drop):
                # file names may hold bytes that are no text
                _write(dropped, Drop(*map(well_formed, (page.url, page.source, page.reason, page.detail))))
                continue
            counts["extracted"] += 1
            if (reason := reason_to_drop(page, self.config)) is not None:
                _write(dropped, Drop(page.url, page.source, *reason))
                continue
            counts["quality"] += 1
            if (reason := language.keep(page, self.config)) is not None:
                _write(dropped, Drop(page.url, page.source, *reason))
                continue
            counts["language"] += 1
            yield page


def kept_part(pages: Path, rows: range) -> str:
    """An input of :class:`KeepPages`: some rows of a file of pages."""
    return f"{rows.start}:{rows.stop}:{pages}"


@dataclass(frozen=True)
class KeepPages:
    """The pages of the shard's parts but those that go. ``gone`` holds their rows, a ``.npy`` for each shard read."""

    gone: str
    name = "keep"
    version = 1

    def run(self, shard: Shard, out: Path) -> dict[str, int]:
        from dsm_repro.corpus.crawl import write_pages

        return {"pages": write_pages(self._pages(shard), out / PAGES)}

    def _pages(self, shard: Shard) -> Iterator[Page]:
        import numpy as np

        from dsm_repro.corpus.crawl import read_pages

        for part in shard.inputs:
            start, stop, name = part.split(":", 2)
            path = Path(name)
            gone = set(np.load(Path(self.gone) / f"{path.parent.name}.npy").tolist())
            for row, page in enumerate(read_pages(path, int(start), int(stop)), int(start)):
                if row not in gone:
                    yield page


@dataclass(frozen=True)
class FindContamination:
    """Evidence of every page of the shard that shares an n-gram with a benchmark. ``index`` is a saved index."""

    index: str
    index_digest: str
    name = "decontaminate"
    version = 1

    def run(self, shard: Shard, out: Path) -> dict[str, int]:
        from dsm_repro.corpus.crawl import read_pages
        from dsm_repro.corpus.decontamination import BenchmarkIndex

        index = BenchmarkIndex.load(Path(self.index))
        (pages,) = shard.inputs
        hit = 0
        with (out / EVIDENCE).open("w", encoding="utf-8") as file:
            for row, page in enumerate(read_pages(Path(pages))):
                found = index.search(page.url, page.text)
                hit += bool(found)
                for evidence in found:
                    _write(file, evidence, row=row)
        return {"pages": hit}


@dataclass(frozen=True)
class ScorePages:
    """The classifier's score of every page of the shard, float32 in order. ``model`` is a fastText file."""

    model: str
    model_digest: str
    name = "score"
    version = 1

    def run(self, shard: Shard, out: Path) -> dict[str, int]:
        import numpy as np

        from dsm_repro.corpus.classifier import line, load, score_lines
        from dsm_repro.corpus.crawl import read_column

        model = load(Path(self.model))
        (pages,) = shard.inputs
        scores = np.fromiter(score_lines(model, map(line, read_column(Path(pages), "text"))), dtype=np.float32)
        np.save(out / SCORES, scores)
        return {"pages": len(scores)}


def read_rows(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Rows of JSON-lines files, in order."""
    for path in paths:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)


def _write(file: Any, item: Any, **more: Any) -> None:
    file.write(json.dumps({**asdict(item), **more}, ensure_ascii=False, sort_keys=True) + "\n")
