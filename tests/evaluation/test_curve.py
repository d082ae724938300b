"""Accuracy along the way: every snapshot and the start, on the final evaluation's problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from untrained import untrained

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import Config
from dsm_repro.evaluation import curve, stage
from dsm_repro.evaluation.taskdata import test_problems as problems_of
from dsm_repro.pipeline.stage import StageContext


def make_model(folder: Path, seed: int) -> None:
    from dsm_repro.training.models import save_model

    save_model(*untrained(seed, hidden=16, layers=1), folder)


SNAPSHOTS = [
    {"index": 1, "share": 0.35, "step": 4, "flops": 350.0, "tokens": 40.0, "tokens_trained": 30.0},
    {"index": 3, "share": 0.75, "step": 9, "flops": 750.0, "tokens": 90.0, "tokens_trained": 70.0},
]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the stages sft and rl leave: four models, and what rl had spent at two of them."""
    root = tmp_path_factory.mktemp("store")
    make_model(root / "sft" / "model", 0)
    make_model(root / "rl" / "snapshots" / "1", 1)
    make_model(root / "rl" / "snapshots" / "3", 2)
    make_model(root / "rl" / "model", 3)
    (root / "rl" / "snapshots.json").write_text(json.dumps(SNAPSHOTS))
    record = {"steps": 12, "flops": {"generate": 400, "train": 650, "total": 1050}, "tokens_generated": 120}
    (root / "rl" / "record.json").write_text(json.dumps(record))
    return {"sft": root / "sft", "rl": root / "rl"}


def small() -> Config:
    config = Config()
    config.rl.snapshots = 3
    config.evaluation.problems, config.evaluation.max_tokens = 6, 4
    return config


def run(config: Config, artifacts: dict[str, Path], out: Path) -> tuple[dict[str, Any], StageContext]:
    out.mkdir()
    ctx = StageContext(config, out, out, artifacts)
    stage.run(ctx)
    path = out / "curve.json"
    return (json.loads(path.read_text()) if path.exists() else {}), ctx


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Make the k-th traced model right on the first k questions; gives the folders that were asked, in order."""
    asked: list[Path] = []

    def accuracy_of(ctx: StageContext, folder: Path, problems: dict[str, list[Any]]) -> dict[str, list[bool]]:
        asked.append(folder)
        ctx.progress(1, 2, "answers")
        return {
            mode: [i < len(asked) for i in range(len(problems["miniature"]))] for mode in ctx.config.evaluation.modes
        }

    monkeypatch.setattr(curve, "accuracy_of", accuracy_of)
    return asked


def test_the_curve_has_the_start_each_snapshot_and_the_end(
    artifacts: dict[str, Path], tmp_path: Path, answers: list[Path]
) -> None:
    config = small()
    found, ctx = run(config, artifacts, tmp_path / "a")
    rl = artifacts["rl"]
    assert answers == [artifacts["sft"] / "model", rl / "snapshots" / "1", rl / "snapshots" / "3"]
    assert found["questions"] == [f"miniature/{p.id}" for p in problems_of(config)["miniature"]]
    points = found["modes"]["cot"]
    assert [p["step"] for p in points] == [0, 4, 9, 12]
    assert [p["flops"] for p in points] == [0, 350, 750, 1050]
    assert [p["tokens"] for p in points] == [0, 40, 90, 120]
    assert [p["share"] for p in points] == [0, 0.35, 0.75, 1.0]
    assert [p["right"] for p in points[:3]] == ["100000", "110000", "111000"]
    assert [p["accuracy"] for p in points[:3]] == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    # the last point is the final evaluation itself
    samples = [json.loads(line) for line in (ctx.out / "samples.jsonl").read_text().splitlines()]
    assert points[3]["right"] == "".join("1" if s["correct"] else "0" for s in samples)
    assert not any("second" in name for point in points for name in point)


def test_fewer_problems_along_the_way_are_the_first_ones(
    artifacts: dict[str, Path], tmp_path: Path, answers: list[Path]
) -> None:
    config = small()
    config.evaluation.curve_problems = 2
    found, ctx = run(config, artifacts, tmp_path / "a")
    assert found["questions"] == [f"miniature/{p.id}" for p in problems_of(config)["miniature"][:2]]
    assert [p["n"] for p in found["modes"]["cot"]] == [2, 2, 2, 2]
    assert len((ctx.out / "samples.jsonl").read_text().splitlines()) == 6


def test_real_models_are_asked_and_paid_for_and_twice_gives_the_same_bytes(
    artifacts: dict[str, Path], tmp_path: Path
) -> None:
    config = small()
    run(config, artifacts, tmp_path / "a")
    told: list[tuple[float, float]] = []
    (tmp_path / "b").mkdir()
    ctx = StageContext(config, tmp_path / "b", tmp_path / "b", artifacts)
    ctx.on_progress = lambda done, total, unit: told.append((done, total))
    stage.run(ctx)
    assert (tmp_path / "a" / "curve.json").read_bytes() == (tmp_path / "b" / "curve.json").read_bytes()
    # four models, each asked every problem
    alone = small()
    alone.rl.snapshots = 0
    _, once = run(alone, artifacts, tmp_path / "c")
    assert not (tmp_path / "c" / "curve.json").exists()
    assert ctx.cost.tokens["generate"] > 3 * once.cost.tokens["generate"]
    traced = told[-3:]
    assert traced == [(6, 18), (12, 18), (18, 18)]


def test_without_snapshots_parents_and_identity_are_as_they_were() -> None:
    config = small()
    with_curve = stage.STAGE.identity(config), stage.STAGE.parents(config)
    assert with_curve[1] == ("rl", "sft") and with_curve[0]["curve_problems"] is None
    config.rl.snapshots = 0
    assert stage.STAGE.parents(config) == ("rl",) and "curve_problems" not in stage.STAGE.identity(config)
    config.rl.snapshots, config.rl.method = 3, "none"
    assert stage.STAGE.parents(config) == ("sft",) and "curve_problems" not in stage.STAGE.identity(config)


def test_answers_drawn_for_each_problem_are_part_of_the_identity() -> None:
    config = small()
    one = stage.STAGE.identity(config)
    config.evaluation.samples = 8
    assert stage.STAGE.identity(config) != one


def test_a_record_without_what_was_spent_is_refused(
    artifacts: dict[str, Path], tmp_path: Path, answers: list[Path]
) -> None:
    rl = tmp_path / "rl"
    rl.mkdir()
    (rl / "model").symlink_to(artifacts["rl"] / "model")
    (rl / "record.json").write_text('{"steps": 3}')
    with pytest.raises(DataError, match=r"record\.json: does not say what was spent"):
        run(small(), {**artifacts, "rl": rl}, tmp_path / "a")
