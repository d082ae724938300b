"""Stage ``crawl`` with one worker and with two, on the same WARC files, by turns."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from dsm_repro.pipeline.identity import file_digest


@dataclass(frozen=True)
class Pass:
    workers: int
    seconds: float
    #: sha256 of every file of the artifact: the same whatever the number of workers
    digests: tuple[tuple[str, str], ...]


def write_crawl(pages: int, folder: Path) -> list[Path]:
    """The miniature web's WARC files, 1,000 pages in each."""
    from dsm_repro.config.corpus_schema import WebConfig
    from dsm_repro.miniature.web import write_web

    web = folder / f"web-{pages}"
    if not (web / "truth.jsonl").exists():
        write_web(WebConfig(pages=pages), web)
    return sorted(web.glob("*.warc.gz"))


def run_stage(files: list[Path], workers: int, folder: Path, signer: str) -> Pass:
    """Wall-clock seconds of the stage; each file is a shard."""
    from dsm_repro.config.schema import Config
    from dsm_repro.corpus.crawl_stage import STAGE
    from dsm_repro.pipeline.stage import StageContext

    config = Config()
    config.corpus.reader = "warc"
    config.corpus.paths = [str(path) for path in files]
    config.corpus.minhash.signer = signer
    config.execution.shards.shard_bytes = 1
    shutil.rmtree(folder, ignore_errors=True)
    out, scratch = folder / "out", folder / "scratch"
    for place in (out, scratch):
        place.mkdir(parents=True)
    start = time.monotonic()
    STAGE.run(StageContext(config, out, scratch, {}, workers))
    taken = time.monotonic() - start
    written = sorted(path for path in out.rglob("*") if path.is_file())
    digests = tuple((path.relative_to(out).as_posix(), file_digest(path)) for path in written)
    shutil.rmtree(folder)
    return Pass(workers, taken, digests)
