"""A real trainer under a real tracker: what TensorBoard shows is what the store has, and the artifact is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import resume_stages
from resume_stages import config_of, files

from dsm_repro.config.container import to_container
from dsm_repro.config.schema import Config, TrackerConfig
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import Spec, run_spec

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")


def _artifact(store: Path, config: Config) -> Path:
    parent = stage_key(resume_stages.SFT, config, {})
    key = stage_key(resume_stages.RL, config, {"sft": parent})
    told = to_container(config)
    run_spec(Spec("sft", "resume_stages:SFT", parent, told, {}, str(store)))
    run_spec(Spec("rl", "resume_stages:RL", key, told, {"sft": parent}, str(store)))
    return Store(store).path("rl", key)


def test_tensorboard_shows_the_steps_that_the_store_has(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = config_of("grpo", steps=4, updates=1)
    tracker = TrackerConfig("tensorboard", str(tmp_path / "runs"), "rl_algorithm", "rl grpo, seed 0")
    shown = _artifact(tmp_path / "shown", replace(config, tracker=tracker))
    assert files(shown) == files(_artifact(tmp_path / "silent", config))
    (folder,) = (tmp_path / "runs" / "rl_algorithm").glob("rl-grpo-seed-0")
    events = EventAccumulator(str(folder))
    events.Reload()
    lines = [json.loads(line) for line in (shown / "metrics.jsonl").read_text().splitlines()]
    for name in ("reward_mean", "loss", "kl"):
        points = {point.step: point.value for point in events.Scalars(f"train/{name}")}
        assert points == pytest.approx({line["step"]: line[name] for line in lines}, rel=1e-6)
