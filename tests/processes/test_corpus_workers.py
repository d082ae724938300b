"""Curation cut into shards, by worker processes and by datatrove's executor: the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_curation import CORPUS, CRAWL, config, contents, curate


@pytest.fixture(scope="module")
def in_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same curation of a web in several files, or there is nothing to cut."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("dsm_repro.miniature.web.PAGES_PER_FILE", 70)
        return curate(config(), tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    "changes",
    [
        {"shard_bytes": 1},
        {"shard_bytes": 30_000, "memory_bytes": 1_000_000, "threads": 2},
        {"shard_bytes": 30_000, "runner": "datatrove", "threads": 2},
    ],
    ids=str,
)
def test_how_the_work_is_cut_and_spread_changes_no_byte(
    in_files: dict[str, Path], changes: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if changes.get("runner") == "datatrove":
        pytest.importorskip("datatrove", reason="the extra `datatrove` is not installed")
    monkeypatch.setattr("dsm_repro.miniature.web.PAGES_PER_FILE", 70)
    other = config()
    for key, value in changes.items():
        if key != "threads":
            setattr(other.execution.shards, key, value)
    assert CRAWL.identity(other) == CRAWL.identity(config()) and CORPUS.identity(other) == CORPUS.identity(config())
    assert contents(curate(other, tmp_path, changes.get("threads", 1))) == contents(in_files)
