"""Models come back as they were saved, and what cannot be loaded says why."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import ExecutionConfig
from dsm_repro.training.models import (
    check_length,
    load_model,
    load_tokenizer,
    model_shape,
    resolve_device,
    save_model,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from dsm_repro.miniature.tokenizer import train_on

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=16,
        tie_word_embeddings=True,
        use_cache=False,
    )
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(LlamaForCausalLM(config), train_on(iter(["some text of some kind"]), 300), folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_what_is_loaded_and_saved_again_has_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(load_model(saved, "float32", "cpu"), load_tokenizer(saved), tmp_path / "again")
    for path in saved.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_saved_model_generates_with_its_cache(saved: Path) -> None:
    assert load_model(saved, "float32", "cpu").config.use_cache


def test_saving_in_bfloat16_halves_the_weights(saved: Path, tmp_path: Path) -> None:
    save_model(load_model(saved, "float32", "cpu"), load_tokenizer(saved), tmp_path / "half", "bfloat16")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "half", saved)]
    assert sizes[0] == pytest.approx(sizes[1] / 2, rel=0.1)


def test_the_shape_counts_the_models_parameters(saved: Path) -> None:
    model = load_model(saved, "float32", "cpu")
    assert model_shape(model).parameters == model.num_parameters()


def test_heads_wider_than_their_share_are_counted() -> None:
    """Qwen3-0.6B as in its config.json: 16 heads of 128 on 1,024; all that is not counted are norms of heads."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    with torch.device("meta"):
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=151_936, hidden_size=1_024, intermediate_size=3_072, num_hidden_layers=28,
                num_attention_heads=16, num_key_value_heads=8, head_dim=128, tie_word_embeddings=True,
            )
        )  # fmt: skip
    shape = model_shape(model)
    assert (shape.query_width, shape.key_width) == (2_048, 1_024)
    assert model.num_parameters() - shape.parameters == 28 * 2 * 128
    assert model_shape(model.config) == shape


def test_the_layers_of_a_mixture_of_experts_are_refused() -> None:
    import torch
    from transformers import MixtralConfig, MixtralForCausalLM

    with torch.device("meta"):
        model = MixtralForCausalLM(
            MixtralConfig(
                vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=2, num_local_experts=4,
            )
        )  # fmt: skip
    with pytest.raises(ConfigError, match=r"mixtral has 7232 weights .* count 2560.*no mixture of experts"):
        model_shape(model)


def test_a_tokenizer_larger_than_the_embedding_is_refused(copy: Path) -> None:
    tokenizer = load_tokenizer(copy)
    tokenizer.add_tokens([f"<extra{i}>" for i in range(50)])
    tokenizer.save_pretrained(copy)
    with pytest.raises(ConfigError, match=r"3[0-9][0-9] tokens and the model 300 embeddings"):
        load_model(copy, "float32", "cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_a_data_error(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:40])
    with pytest.raises(DataError, match=str(copy)):
        load_model(copy, "float32", "cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_a_data_error(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(DataError, match=str(copy)):
        load_model(copy, "float32", "cpu")


def test_a_missing_weight_is_not_made_up(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"1 weights are missing \(model\.layers\.1\.mlp\.up_proj\.weight"):
        load_model(copy, "float32", "cpu")


def test_a_folder_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_model(str(tmp_path / "a" / "b"), "float32", "cpu")


def test_a_tokenizer_without_an_end_is_refused(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["eos_token"]
    path.write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="no end-of-text token"):
        load_tokenizer(copy)


def test_a_tokenizer_without_padding_pads_with_its_end(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["pad_token"]
    path.write_text(json.dumps(settings))
    assert load_tokenizer(copy).pad_token_id == 1


def test_unknown_names_are_refused(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"base\.dtype=int8"):
        load_model(saved, "int8", "cpu")
    with pytest.raises(ConfigError, match=r"execution\.device=tpu"):
        resolve_device(ExecutionConfig(device="tpu"))
    with pytest.raises(ConfigError, match=r"rl\.length=32: the model's context is 16"):
        check_length(load_model(saved, "float32", "cpu"), 32, "rl.length")


def test_a_plan_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from dsm_repro.pretraining import base_stage, stage\n"
        "from dsm_repro.finetuning import stage as sft\n"
        "from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig\n"
        "from dsm_repro.config.schema import Config\n"
        "from dsm_repro.config.training_schema import MixConfig, SourceSpec\n"
        "c = Config(mix=MixConfig(weights={'code': 1.0}))\n"
        "c.scale.models = {'coder': ModelSpec(tiny=TinyModelConfig())}\n"
        "c.scale.sources = {'code': SourceSpec(kind='miniature', name='code')}\n"
        "for s in (base_stage.STAGE, stage.STAGE, sft.STAGE):\n"
        "    s.parents(c), s.identity(c), s.inputs(c); assert s.estimate(c).flops > 0\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'numpy', 'accelerate'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
