"""Adapters: an update of few weights, merged into an ordinary model, with what merging costs said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shared_stages
import torch
from rl_world import make_context, make_model_folder
from transformers import Trainer
from trl import GRPOTrainer, SFTTrainer

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import TuningConfig
from dsm_repro.config.schema import Config
from dsm_repro.config.tuning import tuning_faults
from dsm_repro.finetuning import stage as sft
from dsm_repro.pipeline.stage import Stage
from dsm_repro.rl import stage as rl
from dsm_repro.training.adapters import (
    adapter_parameters,
    add_adapters,
    held_dtype,
    learn_in_float32,
    lora_config,
    lost_in_rounding,
    merged,
    policy_of,
    quantisation,
)
from dsm_repro.training.models import load_model, model_shape

LORA = TuningConfig(method="lora", rank=2, alpha=4.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "model")


def adapted(folder: Path, dtype: str = "float32", size: float = 0.0) -> torch.nn.Module:
    """With adapters, whose second matrices are drawn at ``size``."""
    from peft import get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(load_model(folder, dtype, "cpu"), lora_config(LORA))
    for name, weight in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=size) if size else torch.nn.init.zeros_(weight)
    return model


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(3, 23)[None]).logits.float()


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_adapters_are_held_in_float32_and_frozen_weights_as_they_are(folder: Path, dtype: str) -> None:
    critic, policy = load_model(folder, dtype, "cpu").base_model, adapted(folder, dtype).to(torch.bfloat16)
    add_adapters(critic, LORA)
    learn_in_float32(policy)
    for model, frozen in ((critic, getattr(torch, dtype)), (policy, torch.bfloat16)):
        assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
        assert {weight.dtype for weight in model.parameters() if not weight.requires_grad} == {frozen}


class StoppedError(Exception):
    """Where training would begin."""


@pytest.mark.parametrize(("stage", "kind"), [(rl.STAGE, GRPOTrainer), (sft.STAGE, SFTTrainer)])
def test_adapters_on_weights_of_four_bits_learn_in_float32(
    stage: Stage, kind: type[Trainer], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL casts them to bfloat16 where transformers says that a model is quantised."""
    make, seen = kind.__init__, []

    def as_in_four_bits(self: Trainer, *args: Any, model: Any, **kwargs: Any) -> None:
        model.is_loaded_in_4bit = True
        make(self, *args, model=model, **kwargs)
        seen.append({weight.dtype for weight in self.model.parameters() if weight.requires_grad})

    def stop(self: Trainer, **kwargs: Any) -> None:
        groups = self.create_optimizer().param_groups
        seen.append({weight.dtype for group in groups for weight in group["params"]})
        raise StoppedError

    monkeypatch.setattr(kind, "__init__", as_in_four_bits)
    monkeypatch.setattr(kind, "train", stop)
    config = shared_stages.config()
    config.tuning, config.base.dtype = LORA, "bfloat16"
    ctx = replace(make_context(tmp_path, config, folder), parents={"sft": folder.parent, "pretrain": folder.parent})
    with pytest.raises(StoppedError):
        stage.run(ctx)
    assert seen == [{torch.bfloat16}, {torch.float32}]


def test_training_starts_from_the_model_as_it_is(folder: Path) -> None:
    assert torch.equal(logits(adapted(folder)), logits(load_model(folder, "float32", "cpu")))


def test_the_merged_model_is_the_adapted_one(folder: Path) -> None:
    model = adapted(folder, size=0.1)
    before = logits(model)
    assert not torch.allclose(before, logits(load_model(folder, "float32", "cpu")), atol=1e-2)
    plain = merged(model)
    assert torch.allclose(logits(plain), before, atol=1e-4)
    assert adapter_parameters(plain) == 0 and type(plain).__name__ == "LlamaForCausalLM"
    assert set(plain.state_dict()) == set(load_model(folder, "float32", "cpu").state_dict())


def test_only_adapters_are_trained_and_the_shape_counts_them(folder: Path) -> None:
    model = adapted(folder)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # hidden 32, intermediate 64, 2 layers: four attention products and three of the feed-forward layer, rank 2
    assert trained == adapter_parameters(model) == 2 * 2 * (4 * (32 + 32) + 3 * (32 + 64))
    assert model_shape(policy_of(model)).adapter_parameters == trained


def test_small_updates_are_lost_in_bfloat16_and_the_record_says_so(folder: Path) -> None:
    kept, small, large = (
        lost_in_rounding(adapted(folder, dtype, size))
        for dtype, size in (("float32", 1e-3), ("bfloat16", 1e-6), ("bfloat16", 1.0))
    )
    assert kept is not None and kept < 1e-3
    assert small is not None and small > 0.9
    assert large is not None and large < 0.1
    assert lost_in_rounding(load_model(folder, "float32", "cpu")) is None


def test_a_module_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"tuning\.targets=nowhere"):
        add_adapters(load_model(folder, "float32", "cpu"), TuningConfig(method="lora", targets="nowhere"))


def test_named_modules_alone_get_adapters(folder: Path) -> None:
    model = load_model(folder, "float32", "cpu")
    add_adapters(model, TuningConfig(method="lora", rank=2, targets="q_proj, v_proj"))
    assert {n.split(".")[-4] for n, p in model.named_parameters() if p.requires_grad} == {"q_proj", "v_proj"}


def test_all_weights_need_float32_masters_and_frozen_ones_do_not() -> None:
    config = Config()
    config.base.dtype = "bfloat16"
    assert held_dtype(config) == "float32" and lora_config(config.tuning) is None
    config.tuning = LORA
    assert held_dtype(config) == "bfloat16"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "dora"}, "tuning.method=dora"),
        ({"method": "lora", "rank": 0}, "tuning.rank=0"),
        ({"method": "lora", "alpha": 0.0}, "tuning.alpha=0"),
        ({"method": "lora", "targets": " "}, "tuning.targets"),
        ({"method": "lora", "quantise": "int3"}, "tuning.quantise=int3"),
        ({"quantise": "nf4"}, "Set tuning=qlora"),
    ],
)
def test_settings_that_cannot_work_are_named(change: dict, said: str) -> None:
    config = Config()
    config.tuning = TuningConfig(**change)
    assert any(said in fault for fault in tuning_faults(config))


def test_four_bits_without_the_library_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert quantisation(LORA) is None
    with pytest.raises(ConfigError, match="bitsandbytes"):
        quantisation(TuningConfig(method="lora", quantise="nf4"))
