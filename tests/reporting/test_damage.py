"""An artifact that is not as it was published: noticed, named, and no number of it shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic

from dsm_repro.reporting import measures, records
from dsm_repro.reporting.render import render_sweep

CLAIM = {"title": "t", "statement": "s", "factor": "rl", "comparisons": [{"a": "GRPO", "b": "SFT", "mode": "cot"}]}


def flip_one(folder: Path) -> tuple[str, str]:
    """One wrong answer becomes a right one, and the file keeps its size."""
    path = folder / "samples.jsonl"
    before = path.read_bytes()
    after = before.replace(b'"correct": false', b'"correct":  true', 1)
    assert len(before) == len(after) and before != after
    path.write_bytes(after)
    return hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest()


def edit_record(folder: Path) -> tuple[str, str]:
    path = folder / "record.json"
    before = path.read_text()
    after = before.replace('"max_tokens": 128', '"max_tokens": 256')
    assert before != after
    path.write_text(after)
    return hashlib.sha256(before.encode()).hexdigest(), hashlib.sha256(after.encode()).hexdigest()


def lose_samples(folder: Path) -> tuple[str, ...]:
    (folder / "samples.jsonl").unlink()
    return ("samples.jsonl: listed in manifest.json but missing",)


def add_votes(folder: Path) -> tuple[str, ...]:
    (folder / "at_k.jsonl").write_text("")
    return ("at_k.jsonl: not listed in manifest.json",)


def _manifest(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def list_no_file(folder: Path) -> tuple[str, ...]:
    flip_one(folder)
    _manifest(folder, lambda manifest: manifest.pop("files"))
    return ("manifest.json: does not list its files",)


def unlist_samples(folder: Path) -> tuple[str, ...]:
    flip_one(folder)
    _manifest(folder, lambda manifest: [manifest[part].pop("samples.jsonl") for part in ("files", "sizes")])  # type: ignore[attr-defined]
    return ("samples.jsonl: not listed in manifest.json",)


def describe_another(folder: Path) -> tuple[str, ...]:
    _manifest(folder, lambda manifest: manifest.update(identity={"max_tokens": 1024}))
    return ("manifest.json: describes another artifact than evaluate/",)


def tear_manifest(folder: Path) -> tuple[str, ...]:
    (folder / "manifest.json").write_text('{"files": {')
    return ("manifest.json: cannot be read",)


@pytest.mark.parametrize(
    "damage",
    [flip_one, edit_record, lose_samples, add_votes, list_no_file, unlist_samples, describe_another, tear_manifest],
)
def test_an_evaluation_that_is_not_as_published_is_named_and_has_no_number(
    damage: Callable[[Path], tuple[str, ...]], tmp_path: Path
) -> None:
    index = synthetic.write_sweep(tmp_path, arms={"SFT": 0.4, "GRPO": 0.6}, seeds=(0,), questions=24, claim=CLAIM)
    key = index["arms"][1]["stages"]["evaluate"]
    said = damage(tmp_path / "evaluate" / key)
    sweep = records.read_sweep(tmp_path, index["name"])
    assert [run.status for run in sweep.runs] == ["done", "damaged"] and sweep.runs[1].evaluation is None
    (message,) = sweep.damage()
    assert all(part in message for part in (*said, f"evaluate/{key}/")) and str(tmp_path) not in message
    found = measures.results(sweep)
    assert list(found.measured) == [("SFT", "cot")]
    (one,) = found.compared
    assert one.difference is None and "GRPO has no evaluation (damaged)" in one.sentence


def test_the_page_and_the_log_name_the_file_and_both_digests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = synthetic.write_sweep(tmp_path / "store", arms={"SFT": 0.4, "GRPO": 0.6}, seeds=(0,), questions=8)
    key = index["arms"][1]["stages"]["evaluate"]
    said = (f"evaluate/{key}/samples.jsonl", *flip_one(tmp_path / "store" / "evaluate" / key))
    folder = render_sweep(tmp_path / "store", index["name"], tmp_path / "reports").parent
    for name in ("index.html", "report.md", "results.json"):
        text = (folder / name).read_text()
        assert "Runs without a result" in text and all(part in text for part in said), name
    assert "GRPO" not in (folder / "answers.csv").read_text()
    (warning,) = [record for record in caplog.records if record.name == "dsm_repro.reporting.render"]
    assert all(part in warning.getMessage() for part in said)


def test_a_damaged_ancestor_takes_every_run_that_rests_on_it_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = synthetic.write_sweep(tmp_path / "store", seeds=(0, 1), questions=8, claim=CLAIM)
    sft = tmp_path / "store" / "sft" / index["arms"][0]["stages"]["sft"]
    (sft / "record.json").write_text('{"steps": 3000}')
    sweep = records.read_sweep(tmp_path / "store", index["name"])
    assert {run.status for run in sweep.runs} == {"damaged"} and measures.results(sweep).measured == {}
    assert {stage for stage, _ in sweep.artifacts()} == {"crawl", "corpus", "base", "pretrain"}
    render_sweep(tmp_path / "store", index["name"], tmp_path / "reports")
    assert len([record for record in caplog.records if "the file was changed" in record.getMessage()]) == 1


def test_what_was_damaged_and_is_put_back_gives_the_same_bytes(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path / "store", seeds=(0,), questions=8, claim=CLAIM)
    samples = tmp_path / "store" / "evaluate" / index["arms"][1]["stages"]["evaluate"] / "samples.jsonl"
    published = samples.read_bytes()

    def rendered() -> dict[str, bytes]:
        folder = render_sweep(tmp_path / "store", index["name"], tmp_path / "reports").parent
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    untouched = rendered()
    flip_one(samples.parent)
    assert rendered() != untouched
    samples.write_bytes(published)
    assert rendered() == untouched
