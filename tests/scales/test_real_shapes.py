"""The published models of ``scale=gpu`` and ``scale=paper``, built on the meta device: shapes, optimisers, trainers."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from rl_world import make_model_folder
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM, Trainer

from dsm_repro.config.compose import compose
from dsm_repro.config.model_schema import ModelSpec
from dsm_repro.config.schema import Config
from dsm_repro.finetuning import run as finetuning
from dsm_repro.finetuning.data import Tokens
from dsm_repro.pipeline.memory import MOMENT_BYTES, without_head
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl import run as rl_run
from dsm_repro.training.arguments import trainer_arguments
from dsm_repro.training.models import load_tokenizer, model_shape
from dsm_repro.training.ordered import LanguageModelTrainer, RowDataset, stack_rows
from dsm_repro.training.planning import adapter_parameters, parameters, shape_of
from dsm_repro.training.trainer import Optimisation

SCALES = ("gpu", "paper")


@functools.cache
def config(scale: str) -> Config:
    return compose([f"scale={scale}"])


def on_cpu(scale: str, tuning: str, *words: str) -> Config:
    """An arm of a scale whose stages would run here."""
    made = compose([f"scale={scale}", f"tuning={tuning}", *words])
    return replace(made, execution=replace(made.execution, device="cpu"))


def specs() -> dict[str, ModelSpec]:
    """One model of each shape."""
    found: dict[Any, ModelSpec] = {}
    for scale in SCALES:
        for spec in config(scale).scale.models.values():
            found.setdefault(shape_of(spec), spec)
    return {str(spec.path).rpartition("/")[2]: spec for spec in found.values()}


@functools.cache
def on_meta(name: str) -> PreTrainedModel:
    return made_on_meta(name)


def made_on_meta(name: str) -> PreTrainedModel:
    spec = specs()[name]
    made = {
        "hidden_size": spec.hidden_size, "num_hidden_layers": spec.layers, "vocab_size": spec.vocab_size,
        "intermediate_size": spec.intermediate_size, "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads, "tie_word_embeddings": spec.tied, "attn_implementation": "sdpa",
    }  # fmt: skip
    with torch.device("meta"):
        return Qwen2ForCausalLM(Qwen2Config(**made)) if spec.biases else LlamaForCausalLM(LlamaConfig(**made))


def test_every_model_says_its_whole_shape() -> None:
    shapes = {scale: {role: shape_of(spec) for role, spec in config(scale).scale.models.items()} for scale in SCALES}
    assert all(shape and shape.vocab_size for roles in shapes.values() for shape in roles.values())
    assert len(specs()) == 4


@pytest.mark.parametrize("name", ["Qwen2.5-Coder-1.5B", "TinyLlama_v1.1", "deepseek-math-7b-base", "Llama-2-7b-hf"])
def test_parameters_are_those_of_the_shape(name: str) -> None:
    spec, model = specs()[name], on_meta(name)
    shape = shape_of(spec)
    assert shape is not None
    assert spec.parameters == shape.parameters == parameters(spec) == model.num_parameters()
    # the FLOP formulas ask neither whether the head is tied nor for biases
    assert replace(model_shape(model), tied=shape.tied, biases=shape.biases) == shape
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("name", ["Qwen2.5-Coder-1.5B", "deepseek-math-7b-base"])
def test_a_trainer_and_its_optimiser_are_built(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything up to the first step, with the moments that the first step makes."""
    monkeypatch.setattr(Trainer, "_move_model_to_device", lambda self, model, device: None)
    made = config("gpu")
    made = replace(made, execution=replace(made.execution, device="cpu"))
    context = StageContext(made, tmp_path, tmp_path, {})
    opt = Optimisation("pretrain", 2, 4, 1e-5, lambda step: 1.0, 0.9, 0.95, 0.1, 1.0, 0)
    model = on_meta(name)
    args = trainer_arguments(context, model, opt, made.base.dtype, 4_096)
    rows = RowDataset(torch.zeros(4, 8, dtype=torch.long).numpy())
    trainer = LanguageModelTrainer(model=model, args=args, train_dataset=rows, data_collator=stack_rows)
    trainer.set_order([0, 1, 2, 3], opt.batch_size, rows.fill, opt.factor)
    assert args.activation_checkpointing and args.bf16
    trainer.create_optimizer()
    learnt = [parameter for group in trainer.optimizer.param_groups for parameter in group["params"]]
    assert sum(parameter.numel() for parameter in learnt) == model.num_parameters()
    optimizer = torch.optim.AdamW(learnt, foreach=False)
    for parameter in learnt:
        parameter.grad = torch.empty_like(parameter)
    optimizer.step()
    moments = sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.dim())
    assert moments == MOMENT_BYTES * model.num_parameters()
    for parameter in learnt:
        parameter.grad = None


def learnt_by(optimizer: torch.optim.Optimizer) -> int:
    return sum(parameter.numel() for group in optimizer.param_groups for parameter in group["params"])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_model_folder(tmp_path_factory.mktemp("tokenizer") / "model"))


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize(("scale", "name"), [("gpu", "Qwen2.5-Coder-1.5B"), ("paper", "deepseek-math-7b-base")])
def test_the_fine_tuner_is_built(
    scale: str, name: str, tuning: str, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "_move_model_to_device", lambda self, model, device: None)
    built: list[Any] = []
    monkeypatch.setattr(finetuning, "run_trainer", lambda ctx, trainer, costs, opt: built.append(trainer))
    made = on_cpu(scale, tuning)
    tokens = [Tokens(tuple(range(20, 20 + n)), 3) for n in (10, 20, 30, 40)]
    opt = Optimisation("sft", 2, 4, 5e-5, lambda step: 1.0, 0.9, 0.999, 0.0, 1.0, 0)
    rows = finetuning.Rows.of([len(one.ids) for one in tokens], made, 4)
    model = made_on_meta(name)
    finetuning.train_on_examples(StageContext(made, tmp_path, tmp_path, {}), model, tokenizer, tokens, rows, opt)
    (trainer,) = built
    trainer.create_optimizer()
    spec = specs()[name]
    expected = spec.parameters if tuning == "full" else adapter_parameters(shape_of(spec), made.tuning)
    assert learnt_by(trainer.optimizer) == expected


@pytest.mark.parametrize(("method", "tuning"), [("grpo", "full"), ("grpo", "lora"), ("ppo", "full"), ("ppo", "lora")])
@pytest.mark.parametrize(("scale", "name"), [("gpu", "Qwen2.5-Coder-1.5B"), ("paper", "deepseek-math-7b-base")])
def test_the_policy_gradient_trainer_is_built(
    scale: str, name: str, method: str, tuning: str, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policy, reference and critic, as the stage ``rl`` makes them, up to the optimisers."""
    monkeypatch.setattr(Trainer, "_move_model_to_device", lambda self, model, device: None)
    monkeypatch.setattr(Accelerator, "prepare_model", lambda self, model, **kwargs: model)
    built: list[Any] = []
    monkeypatch.setattr(rl_run, "load_model", lambda *args, **kwargs: made_on_meta(name))
    monkeypatch.setattr(rl_run, "load_tokenizer", lambda folder: tokenizer)
    monkeypatch.setattr(rl_run, "check_tokenizer", lambda *args: None)

    class BuiltError(Exception):
        pass

    def stop(self: Any, **kwargs: Any) -> None:
        built.append(self)
        raise BuiltError

    monkeypatch.setattr(rl_run.PolicyGradientTrainer, "train", stop)
    problems = tmp_path / "train.jsonl"
    problems.write_text('{"question": "1+1?", "answer": 2}\n' * 64)
    made = on_cpu(scale, tuning, f"rl={method}", f"problems.train_path={problems}")
    with pytest.raises(BuiltError):
        rl_run.train(StageContext(made, tmp_path, tmp_path, {}), tmp_path)
    (trainer,) = built
    trainer.create_optimizer()
    spec = specs()[name]
    shape = shape_of(spec)
    assert shape is not None
    adapters = adapter_parameters(shape, made.tuning)
    assert learnt_by(trainer.optimizer) == (spec.parameters if tuning == "full" else adapters)
    assert (trainer.reference is not None) == (tuning == "full")
    assert (trainer.regression is not None) == (method == "ppo")
    if trainer.regression is not None:
        # the backbone without the policy's head, with a head of one number and its bias
        backbone = without_head(shape).parameters if tuning == "full" else adapters
        assert learnt_by(trainer.regression.optimizer) == backbone + shape.hidden_size + 1
