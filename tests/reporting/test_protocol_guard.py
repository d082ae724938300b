"""Which rows meet: an arm that lost its seeds does not borrow the other's, and what was not recorded meets nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import synthetic

from dsm_repro.reporting import comparing, measures, records, verdict
from dsm_repro.reporting.statistics import Interval


def evaluations(store: Path, index: dict[str, Any], arm: str) -> list[Path]:
    keys = dict.fromkeys(a["stages"]["evaluate"] for a in index["arms"] if a["name"] == arm)
    return [store / "evaluate" / key for key in keys]


def change_protocol(folders: list[Path], **changes: Any) -> None:
    for folder in folders:
        record = json.loads((folder / "record.json").read_text())
        record["protocol"]["cot"].update(changes)
        synthetic.rewrite(folder / "record.json", record)


def columns(store: Path, index: dict[str, Any]) -> tuple[measures.Results, list[tuple[str, ...]]]:
    found = measures.results(records.read_sweep(store, index["name"]))
    return found, [column.arms for column in found.columns]


def test_the_order_of_its_keys_makes_no_protocol(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, questions=16)
    for folder in evaluations(tmp_path, index, "GRPO"):
        record = json.loads((folder / "record.json").read_text())
        record["protocol"]["cot"] = dict(reversed(record["protocol"]["cot"].items()))
        text = json.dumps(record)
        (folder / "record.json").write_text(text)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["record.json"] = hashlib.sha256(text.encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
    assert columns(tmp_path, index)[1] == [("SFT", "PPO", "GRPO")]


def test_protocols_that_were_not_recorded_are_not_taken_for_equal(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, questions=16)
    for folder in (*evaluations(tmp_path, index, "GRPO"), *evaluations(tmp_path, index, "SFT")):
        record = json.loads((folder / "record.json").read_text())
        synthetic.rewrite(folder / "record.json", {**record, "protocol": {}})
    found, arms = columns(tmp_path, index)
    assert sorted(arms) == [("GRPO",), ("PPO",), ("SFT",)]
    assert all(c.difference is None for c in found.compared)
    assert "different protocols (not recorded)" in found.compared[0].sentence


def test_seeds_of_one_arm_under_two_protocols_are_not_pooled(tmp_path: Path) -> None:
    index = synthetic.write_sweep(tmp_path, questions=16)
    change_protocol(evaluations(tmp_path, index, "GRPO")[1:], max_tokens=64)
    found, arms = columns(tmp_path, index)
    assert arms == [("SFT", "PPO", "GRPO"), ("GRPO",)]
    assert [m.seeds for (arm, _), m in found.measured.items() if arm == "GRPO"] == [((0,),), ((1,), (2,))]
    grpo_ppo = found.compared[1]
    assert grpo_ppo.difference is not None and grpo_ppo.difference.replicates == 1
    assert "2 seed(s) that only one arm has are left out" in grpo_ppo.remark


def measured(
    arm: str, seeds: tuple[tuple[int, ...], ...], share: float, models: tuple[str, ...] = ()
) -> measures.Measured:
    right = (np.random.default_rng(len(arm)).random((len(seeds), 200)) < share).astype(float)
    column = measures.Column("cot", "cot", {"grader": "one"}, (arm,))
    questions = tuple(map(str, range(200)))
    return measures.Measured(arm, column, seeds, questions, right, Interval(0, 0, 0, *right.shape), (), models or questions[: len(seeds)])


def judged(a: measures.Measured, b: measures.Measured) -> comparing.Compared:
    (found,) = comparing.judged([{"a": a.arm, "b": b.arm}], [comparing.compare(a, b, resamples=200)])
    return found


def test_the_one_seed_that_an_arm_has_left_is_one_seed() -> None:
    lone = judged(measured("lone", ((1,),), 0.9), measured("whole", ((0,), (1,), (2,)), 0.2))
    assert lone.difference is not None and lone.difference.replicates == 1
    assert lone.verdict == verdict.DIRECTION_ONLY
    assert "2 seed(s) that only one arm has are left out" in lone.remark and comparing.ONE_SEED in lone.remark


def test_a_checkpoint_that_all_seeds_share_stands_against_each() -> None:
    found = judged(measured("rl", ((0,), (1,), (2,)), 0.9), measured("start", ((0, 1, 2),), 0.2))
    assert found.difference is not None and found.difference.replicates == 3
    assert found.verdict == verdict.REPRODUCED
    assert found.remark == "start has one checkpoint, set against every seed of the other"


def test_two_checkpoints_that_all_seeds_share_are_one_pair() -> None:
    found = judged(measured("one", ((0, 1, 2),), 0.9), measured("other", ((0, 1, 2),), 0.2))
    assert found.difference is not None and found.difference.replicates == 1
    assert found.verdict == verdict.DIRECTION_ONLY


def test_several_evaluations_of_one_model_are_no_seeds() -> None:
    one = measured("one", ((0,), (1,), (2,)), 0.9, models=("rl/a",) * 3)
    other = measured("other", ((0,), (1,), (2,)), 0.2, models=("rl/b",) * 3)
    found = judged(one, other)
    assert found.decides_nothing and comparing.ONE_MODEL in found.remark
    assert found.verdict == verdict.DIRECTION_ONLY
    trained = measured("other", ((0,), (1,), (2,)), 0.2, models=("rl/b", "rl/c", "rl/d"))
    assert judged(one, trained).verdict == verdict.REPRODUCED
