"""Both stages of curation on a small web, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dsm_repro.config.schema import Config
from dsm_repro.corpus.crawl_stage import STAGE as CRAWL
from dsm_repro.corpus.stage import STAGE as CORPUS
from dsm_repro.pipeline.stage import Stage, StageContext


def config(**corpus: Any) -> Config:
    made = Config()
    made.corpus.web.pages = 300
    made.corpus.top_tokens = 25_000
    made.corpus.rounds = 2
    made.corpus.classifier.dim = 32
    made.corpus.classifier.bucket = 20_000
    made.corpus.classifier.positives = made.corpus.classifier.negatives = 2_000
    made.evaluation.problems = 40
    for key, value in corpus.items():
        setattr(made.corpus, key, value)
    return made


def run_stage(stage: Stage, made: Config, folder: Path, parents: dict[str, Path], threads: int = 1) -> Path:
    """``folder`` may hold a killed attempt's scratch."""
    out, scratch = folder / stage.name / "out", folder / stage.name / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir(exist_ok=True)
    stage.run(StageContext(made, out, scratch, parents, threads))
    return out


def curate(made: Config, folder: Path, threads: int = 1) -> dict[str, Path]:
    """The artifacts of stage ``crawl`` and stage ``corpus``."""
    crawl = run_stage(CRAWL, made, folder, {}, threads)
    return {"crawl": crawl, "corpus": run_stage(CORPUS, made, folder, {"crawl": crawl}, threads)}


def contents(artifacts: dict[str, Path]) -> dict[str, bytes]:
    """Every file of both artifacts."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for name, folder in artifacts.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return found
