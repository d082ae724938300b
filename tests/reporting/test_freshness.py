"""A report is rendered again when anything that it is made of has changed, and else not."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import write_sweep

from dsm_repro.reporting import freshness
from dsm_repro.reporting.render import render_sweep


def made(folder: Path) -> Path:
    write_sweep(folder / "store", questions=8)
    return folder / "store"


def test_nothing_to_render_until_a_record_the_index_or_the_page_changes(tmp_path: Path) -> None:
    store, reports = made(tmp_path), tmp_path / "reports"
    assert not freshness.is_current(store, "rl_algorithm", reports)
    page = render_sweep(store, "rl_algorithm", reports)
    assert not freshness.is_current(store, "rl_algorithm", reports)
    freshness.note(store, "rl_algorithm", reports)
    assert freshness.is_current(store, "rl_algorithm", reports)
    assert not freshness.is_current(store, "rl_algorithm", tmp_path / "elsewhere")
    manifest = next(iter(sorted(store.glob("evaluate/*/manifest.json"))))
    for file in (manifest, store / "sweeps" / "rl_algorithm" / "arms.json", page):
        before = file.read_bytes()
        file.write_bytes(before + b"\n")
        assert not freshness.is_current(store, "rl_algorithm", reports)
        file.write_bytes(before)
    assert freshness.is_current(store, "rl_algorithm", reports)


def test_a_store_that_cannot_be_written_remembers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, reports = made(tmp_path), tmp_path / "reports"
    render_sweep(store, "rl_algorithm", reports)

    def refuse(path: Path, text: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(freshness, "write_text", refuse)
    freshness.note(store, "rl_algorithm", reports)
    assert not freshness.is_current(store, "rl_algorithm", reports)
