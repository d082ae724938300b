"""One trainer for all stages: exact resume, accumulation that changes nothing, a ledger that adds up."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.model_schema import TinyModelConfig
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.cost import train_flops
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.training.trainer import Optimisation, checkpoint_to_resume, prepare_torch, train_language_model

TINY = TinyModelConfig(hidden_size=32, layers=2, heads=2, intermediate_size=64, vocab_size=300, context_length=16)
LENGTH = 16


def context(folder: Path, **execution: object) -> StageContext:
    config = Config()
    config.execution = replace(config.execution, device="cpu", **execution)  # type: ignore[arg-type]
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageContext(config=config, out=folder / "out", scratch=folder / "scratch", parents={})


def tiny_model(double: bool = False):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=LENGTH,
            tie_word_embeddings=True,
        )
    )
    return model.double() if double else model


def optimisation(steps: int = 6, **changes: object) -> Optimisation:
    base = Optimisation(
        section="test",
        steps=steps,
        batch_size=8,
        learning_rate=1e-2,
        factor=lambda step: 1 / (1 + step),
        adam_beta1=0.9,
        adam_beta2=0.95,
        weight_decay=0.1,
        max_grad_norm=1.0,
        seed=3,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def train(ctx: StageContext, steps: int = 6, double: bool = False, stop_after: int | None = None, **changes: object):
    """Train on fixed random rows; ``stop_after`` dies like a killed process, at the end of that step."""
    prepare_torch(ctx, 0)
    rows = np.random.default_rng(0).integers(2, 300, size=(10, LENGTH))
    order = [(7 * i) % 10 for i in range(steps * 8)]
    model = tiny_model(double)

    class KilledError(RuntimeError):
        pass

    def die(done: float, total: float, unit: str) -> None:
        if stop_after is not None and done == stop_after:
            raise KilledError

    ctx.on_progress = die
    with contextlib.suppress(KilledError):
        train_language_model(ctx, model, rows, order, optimisation(steps, **changes), "float32")
    return model


def weights(model) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in model.named_parameters()}


def assert_same(a, b, tolerance: float = 0.0) -> None:
    for name, value in weights(a).items():
        np.testing.assert_allclose(value, weights(b)[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    ctx = context(tmp_path_factory.mktemp("undisturbed"))
    return ctx, train(ctx)


def test_training_moves_the_weights(undisturbed) -> None:
    changed = [np.abs(value - weights(tiny_model())[name]).max() for name, value in weights(undisturbed[1]).items()]
    assert min(changed) > 0


@pytest.mark.parametrize("killed_at", [4, 5])
def test_a_killed_run_resumes_bit_for_bit(undisturbed, tmp_path: Path, killed_at: int) -> None:
    ctx, model = undisturbed
    train(context(tmp_path, checkpoint_seconds=0.0), stop_after=killed_at)
    resumed = context(tmp_path)
    assert_same(train(resumed), model)
    assert (resumed.out / "metrics.jsonl").read_bytes() == (ctx.out / "metrics.jsonl").read_bytes()
    assert (resumed.cost.flops, resumed.cost.tokens) == (ctx.cost.flops, ctx.cost.tokens)
    assert resumed.cost.seconds > 0


def test_resuming_needs_no_repeated_step(tmp_path: Path) -> None:
    train(context(tmp_path, checkpoint_seconds=0.0), stop_after=4)
    seen: list[float] = []
    ctx = context(tmp_path)
    prepare_torch(ctx, 0)
    ctx.on_progress = lambda done, total, unit: seen.append(done)
    rows = np.random.default_rng(0).integers(2, 300, size=(10, LENGTH))
    train_language_model(ctx, tiny_model(), rows, [(7 * i) % 10 for i in range(48)], optimisation(), "float32")
    assert seen == [3, 4, 5, 6]


def test_only_the_newest_complete_checkpoint_is_kept(tmp_path: Path) -> None:
    ctx = context(tmp_path, checkpoint_seconds=0.0)
    train(ctx, stop_after=4)
    assert json.loads((ctx.scratch / "resume.json").read_text())["checkpoint"] == "checkpoint-3"
    assert [path.name for path in ctx.scratch.glob("checkpoint-*")] == ["checkpoint-3"]


def test_a_half_written_checkpoint_is_not_resumed_from(undisturbed, tmp_path: Path) -> None:
    train(context(tmp_path, checkpoint_seconds=0.0), stop_after=4)
    partial = tmp_path / "scratch" / "checkpoint-4"
    partial.mkdir()
    (partial / "trainer_state.json").write_text("{")
    assert_same(train(context(tmp_path)), undisturbed[1])


def test_a_checkpoint_that_is_gone_is_an_error(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    (ctx.scratch / "resume.json").write_text('{"checkpoint": "checkpoint-3", "seconds": 1}')
    with pytest.raises(DataError, match=r"resume.json.*start over"):
        train(ctx)


def test_lost_metrics_start_the_run_over(undisturbed, tmp_path: Path) -> None:
    first = context(tmp_path, checkpoint_seconds=0.0)
    train(first, stop_after=4)
    (first.out / "metrics.jsonl").unlink()
    ctx = context(tmp_path)
    assert_same(train(ctx), undisturbed[1])
    assert (ctx.out / "metrics.jsonl").read_bytes() == (undisturbed[0].out / "metrics.jsonl").read_bytes()


def test_accumulation_does_not_change_the_mathematics(tmp_path: Path) -> None:
    whole = train(context(tmp_path / "8", micro_batch=8), steps=2, double=True)
    for micro in (2, 3):
        parts = train(context(tmp_path / str(micro), micro_batch=micro), steps=2, double=True)
        assert_same(parts, whole, tolerance=1e-6)


def test_the_metrics_are_those_of_the_run(undisturbed) -> None:
    ctx, _ = undisturbed
    lines = [json.loads(line) for line in (ctx.out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["learning_rate"] for line in lines] == pytest.approx([1e-2 / (1 + s) for s in range(6)])
    assert lines[0]["loss"] == pytest.approx(np.log(300), rel=0.05)
    assert lines[-1]["tokens"] == ctx.cost.tokens["train"] == 6 * 8 * LENGTH
    from dsm_repro.training.models import model_shape

    flops = train_flops(model_shape(tiny_model()), 6 * 8 * LENGTH, 6 * 8 * LENGTH**2)
    assert lines[-1]["flops"] == pytest.approx(ctx.cost.flops["train"]) == pytest.approx(flops)


def test_divergence_is_an_error_that_names_the_learning_rate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"test: .*Lower the learning rate"):
        train(context(tmp_path), learning_rate=1e30, max_grad_norm=0.0)


def test_each_process_takes_a_gpu_of_its_own_and_too_few_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    ctx = context(tmp_path, processes=3)
    ctx.config.execution.device = "auto"
    monkeypatch.setenv("LOCAL_RANK", "1")
    prepare_torch(ctx, 0)
    assert taken == [1]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match=r"execution\.processes=3: torch sees 2 GPUs .* Set execution\.processes=2"):
        prepare_torch(ctx, 0)


def test_a_checkpoint_in_shards_of_another_kind_is_refused(tmp_path: Path) -> None:
    ctx = context(tmp_path, processes=2, sharding="fsdp2")
    folder = ctx.scratch / "checkpoint-3"
    folder.mkdir()
    (folder / "trainer_state.json").write_text('{"global_step": 3}')
    (ctx.scratch / "resume.json").write_text('{"checkpoint": "checkpoint-3", "seconds": 1.0, "sharding": "none"}')
    with pytest.raises(ConfigError, match=r"execution\.sharding=fsdp2: .* written with execution\.sharding=none"):
        checkpoint_to_resume(ctx)
