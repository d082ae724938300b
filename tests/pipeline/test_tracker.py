"""Trackers: what their integrations are told, and that nothing of it stays behind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from dsm_repro.config.files import find_tracker
from dsm_repro.config.schema import TRACKERS, Config, TrackerConfig
from dsm_repro.config.validate import faults
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.tracker import environment, named, shown, tracked, trainer_fields

RUN = TrackerConfig(group="rl_algorithm", run="rl grpo, seed 0 1234abcd")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none", {}),
        ("tensorboard", {"TENSORBOARD_LOGGING_DIR": "{}/rl_algorithm/rl-grpo-seed-0-1234abcd"}),
        ("trackio", {"TRACKIO_DIR": "{}/trackio"}),
        ("wandb", {"WANDB_RUN_GROUP": "rl_algorithm", "WANDB_PROJECT": "dsm_repro", "WANDB_DIR": "{}/wandb"}),
        ("mlflow", {"MLFLOW_EXPERIMENT_NAME": "rl_algorithm", "MLFLOW_TRACKING_URI": "sqlite:///{}/mlflow.db"}),
    ],
)
def test_each_integration_is_told_the_sweep_and_a_place(name: str, told: dict[str, str], tmp_path: Path) -> None:
    tracker = replace(RUN, name=name, folder=str(tmp_path))
    assert environment(tracker, {}) == {key: value.format(tmp_path) for key, value in told.items()}
    fields = trainer_fields(tracker)
    assert fields == {"report_to": name, "run_name": "rl grpo, seed 0 1234abcd", "project": "rl_algorithm"}


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    given = {"WANDB_PROJECT": "mine", "MLFLOW_TRACKING_URI": "http://tracking", "TRACKIO_DIR": "/data"}
    for name in ("wandb", "mlflow", "trackio"):
        told = environment(replace(RUN, name=name, folder=str(tmp_path)), given)
        assert not given.keys() & told.keys()


@pytest.mark.parametrize("fails", [False, True])
def test_the_environment_is_that_of_one_stage(fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "of the user")
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    for name in ("tensorboard", "wandb"):
        try:
            with tracked(replace(RUN, name=name, folder=str(tmp_path))):
                key = {"tensorboard": "TENSORBOARD_LOGGING_DIR", "wandb": "WANDB_RUN_GROUP"}[name]
                assert "rl_algorithm" in os.environ[key]
                if fails:
                    raise RuntimeError("a stage")
        except RuntimeError:
            assert fails
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == "of the user" and "WANDB_RUN_GROUP" not in os.environ


def test_a_run_is_named_after_its_stage_and_first_arm() -> None:
    config = named(Config(), "rl_algorithm", "sft", "0123456789abcdef", ["grpo, seed 0", "ppo, seed 0"])
    assert config.tracker.run == "sft grpo, seed 0 +1 01234567" and config.tracker.group == "rl_algorithm"
    assert named(Config(), "s", "rl", "0123456789abcdef", ["grpo, seed 2"]).tracker.run == "rl grpo, seed 2 01234567"


def test_only_numbers_are_shown() -> None:
    assert shown({"loss": 0.5, "right": 3, "kl": None, "backend": "bwrap"}) == {"loss": 0.5, "right": 3}


def test_a_tracker_is_no_part_of_a_key() -> None:
    configs = [replace(toy.config(), tracker=replace(RUN, name=name)) for name in TRACKERS]
    assert len({stage_key(toy.toy_stages.TRAIN, config, {}) for config in configs}) == 1


def test_an_unknown_tracker_and_one_that_is_not_installed_are_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(Config(), tracker=TrackerConfig(name="neptune"))
    assert any("tracker.name=neptune" in line and "tensorboard" in line for line in faults(config))
    monkeypatch.setattr("dsm_repro.config.files.find_spec", lambda name: None)
    (said,) = find_tracker(replace(config, tracker=TrackerConfig(name="wandb")))
    assert "pip install 'dsm-repro[wandb]'" in said
    assert list(find_tracker(Config())) == []
