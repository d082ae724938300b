"""RL of adapters: what is frozen stays, the reference is the policy without them, resume is exact."""

from __future__ import annotations

import copy
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
from resume_stages import files, run_and_die
from rl_methods import steps_reward
from rl_world import make_config, make_context, make_model_folder

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import TuningConfig
from dsm_repro.config.schema import Config
from dsm_repro.rl import run
from dsm_repro.rl.stage import STAGE
from dsm_repro.training.models import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


def config_of(method: str, steps: int = 3) -> Config:
    config = make_config(method, steps)
    config.tuning = TuningConfig(method="lora", rank=2, alpha=4.0)
    return config


@pytest.mark.parametrize("method", ["grpo", "ppo", "rft"])
def test_a_run_moves_what_has_adapters_and_nothing_else(
    tmp_path: Path, model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    ctx = make_context(tmp_path, config_of(method), model)
    STAGE.run(ctx)
    before = load_model(model, "float32", "cpu").state_dict()
    after = load_model(ctx.out / "model", "float32", "cpu").state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved and all("_proj." in name for name in moved)
    lines = [json.loads(line) for line in (ctx.out / "metrics.jsonl").read_text().splitlines()]
    if method != "rft":
        assert lines[0]["kl"] == pytest.approx(0.0, abs=1e-6) and lines[-1]["kl"] > 1e-5
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["tuning"]["trained_parameters"] == 2 * 2 * (4 * (32 + 32) + 3 * (32 + 64))
    assert record["tuning"]["lost_in_rounding"] < 1e-3


def test_a_step_costs_less_than_one_of_all_weights(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    spent = []
    for name, tuning in (("adapters", TuningConfig(method="lora", rank=1)), ("full", TuningConfig())):
        ctx = make_context(tmp_path / name, replace(config_of("grpo", 1), tuning=tuning), model)
        STAGE.run(ctx)
        spent.append(ctx.cost.flops["train"])
    assert 2 / 3 < spent[0] / spent[1] < 0.9


def test_the_starting_model_writes_without_adapters(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So writing costs ``rl=rft`` as much as with all weights; the policy of ``online_rft`` has them in the way."""
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    spent: dict[str, list[float]] = {"rft": [], "online_rft": []}
    for method, flops in spent.items():
        for tuning in (TuningConfig(method="lora", rank=2), TuningConfig()):
            ctx = make_context(tmp_path / method / tuning.method, replace(config_of(method, 1), tuning=tuning), model)
            STAGE.run(ctx)
            flops.append(ctx.cost.flops["generate"])
    assert spent["rft"][0] == spent["rft"][1] == spent["online_rft"][1] < spent["online_rft"][0]


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_killed_and_resumed_it_comes_to_the_same_bytes(
    tmp_path: Path, model: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    config = config_of(method)
    config.execution.checkpoint_seconds = 1e-9
    whole = make_context(tmp_path / "whole", copy.deepcopy(config), model)
    STAGE.run(whole)
    killed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    run_and_die(killed, 2, monkeypatch)
    checkpoint = tmp_path / "killed" / "scratch" / "checkpoint-1"
    assert (checkpoint / "adapter_model.safetensors").exists() and not (checkpoint / "model.safetensors").exists()
    resumed = make_context(tmp_path / "killed", copy.deepcopy(config), model)
    STAGE.run(resumed)
    assert files(resumed.out) == files(whole.out)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="the extra qlora is not installed")
@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_weights_of_four_bits_are_merged_into_those_that_they_were_made_from(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_reward", lambda *args, **kwargs: steps_reward)
    wide = make_model_folder(tmp_path / "sft" / "model", hidden=128)
    config = config_of(method)
    config.tuning.quantise, config.base.dtype = "nf4", "bfloat16"
    ctx = make_context(tmp_path, config, wide)
    STAGE.run(ctx)
    before = load_model(wide, "bfloat16", "cpu").state_dict()
    after = load_model(ctx.out / "model", "bfloat16", "cpu").state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved and all("_proj." in name for name in moved)
    # what four bits lose of a weight would be far more than what three steps add to it
    assert max(float((after[name] - before[name]).abs().max()) for name in moved) < 0.2
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["tuning"]["quantise"] == "nf4" and "lost_in_rounding" not in record["tuning"]


@pytest.mark.parametrize("method", ["dpo", "grpo_iterative"])
def test_methods_whose_reference_is_another_model_refuse(method: str) -> None:
    with pytest.raises(ConfigError, match=rf"tuning\.method=lora: rl={method}.*tuning=full"):
        STAGE.identity(config_of(method))


def test_all_weights_leave_the_key_as_it_was() -> None:
    full, lora = STAGE.identity(make_config()), STAGE.identity(config_of("grpo"))
    assert "tuning" not in full
    assert {**full, "tuning": lora["tuning"]} == lora
