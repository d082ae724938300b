"""``sft`` from config to artifact, and the batches it is trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import SFTConfig
from dsm_repro.finetuning import programs, stage
from dsm_repro.finetuning import run as run_module
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.sandbox import controller
from dsm_repro.reasoning.sandbox.backends import ISOLATED

TINY = TinyModelConfig(hidden_size=32, layers=2, heads=2, intermediate_size=64, vocab_size=300, context_length=128)


def config(**sft: object) -> Config:
    made = Config()
    made.execution.device = "cpu"
    made.pretrain.enabled = False
    made.scale.models = {"coder": ModelSpec(tiny=TINY)}
    made.sft = replace(
        SFTConfig(examples=48, steps=6, batch_size=16, learning_rate=3e-3, max_length=128, packing=False),
        **sft,  # type: ignore[arg-type]
    )
    return made


def context(made: Config, folder: Path, base: Path) -> StageContext:
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageContext(config=made, out=folder / "out", scratch=folder / "scratch", parents={"base": base})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing yet."""
    from dsm_repro.miniature.problems import problems
    from dsm_repro.miniature.tokenizer import train_on
    from dsm_repro.pretraining.base_stage import initial_model
    from dsm_repro.training.models import save_model

    folder = tmp_path_factory.mktemp("base")
    tokenizer = train_on(iter([problem.question + problem.cot for problem in problems("train", 100, 1)]), 300)
    save_model(initial_model(TINY, tokenizer, "tiny"), tokenizer, folder / "model")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(folder: Path, base: Path, made: Config) -> StageContext:
    ctx = context(made, folder, base)
    stage.STAGE.run(ctx)
    return ctx


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> StageContext:
    return run(tmp_path_factory.mktemp("sft"), base, config(format="both"))


def test_it_learns_and_records(trained: StageContext) -> None:
    record = json.loads((trained.out / "record.json").read_text())
    lines = [json.loads(line) for line in (trained.out / "metrics.jsonl").read_text().splitlines()]
    assert record["loss"] < lines[0]["loss"]
    assert record["examples"] == 48
    assert record["examples_by_mode"] == {"cot": 24, "pot": 24}
    assert 0 < record["terse"] < 24
    assert record["epochs"] == 2.0
    assert record["tokens"] == trained.cost.tokens["train"] == lines[-1]["tokens"]
    assert {line["learning_rate"] for line in lines} == {3e-3}


def test_the_same_config_gives_the_same_bytes(trained: StageContext, base: Path, tmp_path: Path) -> None:
    assert files(run(tmp_path, base, config(format="both")).out) == files(trained.out)


def test_a_killed_run_resumes_bit_for_bit(trained: StageContext, base: Path, tmp_path: Path) -> None:
    class KilledError(RuntimeError):
        pass

    def die(done: float, total: float, unit: str) -> None:
        if done == 4:
            raise KilledError

    made = config(format="both")
    made.execution.checkpoint_seconds = 0.0
    killed = context(made, tmp_path, base)
    killed.on_progress = die
    with pytest.raises(KilledError):
        stage.STAGE.run(killed)
    resumed = run(tmp_path, base, config(format="both"))
    assert files(resumed.out) == files(trained.out)
    assert resumed.cost.flops == trained.cost.flops


def test_micro_batches_give_the_same_training(trained: StageContext, base: Path, tmp_path: Path) -> None:
    made = config(format="both")
    made.execution.micro_batch = 5
    parts = run(tmp_path, base, made)
    for one, other in zip(*(_losses(ctx) for ctx in (trained, parts)), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def _losses(ctx: StageContext) -> list[float]:
    return [json.loads(line)["loss"] for line in (ctx.out / "metrics.jsonl").read_text().splitlines()]


def test_a_packed_example_attends_to_itself_only(base: Path) -> None:
    import torch

    from dsm_repro.finetuning.data import Tokens
    from dsm_repro.finetuning.run import Collator
    from dsm_repro.training.models import load_model

    model = load_model(base / "model", "float32", "cpu")
    tokens = [Tokens(tuple(range(10 + 7 * n, 15 + 8 * n)), 2) for n in range(4)]
    packed = Collator(tokens, [(0, 1), (2, 3)], 0, packed=True)([{"row": 0}, {"row": 1}])
    alone = Collator(tokens, [(i,) for i in range(4)], 0, packed=False)([{"row": i} for i in range(4)])
    assert packed["position_ids"].tolist()[0] == [*range(5), *range(6), 0, 0, 0, 0]
    with torch.no_grad():
        together = model(input_ids=packed["input_ids"], position_ids=packed["position_ids"], use_cache=False).logits
        apart = model(input_ids=alone["input_ids"], attention_mask=alone["attention_mask"], use_cache=False).logits
    torch.testing.assert_close(together[0, :5], apart[0, :5], atol=1e-5, rtol=0)
    torch.testing.assert_close(together[0, 5:11], apart[1, :6], atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1, 7:15], apart[3, :8], atol=1e-5, rtol=0)


@pytest.mark.skipif(all(controller.probe(name) for name in ISOLATED), reason="no sandbox here")
def test_programs_are_run_once_and_the_record_names_the_back_end(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = run(tmp_path, base, config(format="tool", steps=1))
    backend = json.loads((ctx.out / "record.json").read_text())["sandbox"]
    assert backend in ISOLATED
    monkeypatch.setattr(programs, "run_distinct", None)
    again = programs.program_outputs(ctx, run_module.training_problems(ctx.config))
    assert (again.backend, again.failed) == (backend, 0)
    assert set(again.said.values())


def test_packed_rows_train_too(base: Path, tmp_path: Path) -> None:
    ctx = run(tmp_path, base, config(packing=True, batch_size=4, steps=5))
    record = json.loads((ctx.out / "record.json").read_text())
    assert _losses(ctx)[-1] < _losses(ctx)[0]
    # 20 rows of at most 128 tokens, several examples in each
    assert 20 * 64 < record["tokens"] <= 20 * 128
    assert record["epochs"] > 0.5


def test_examples_that_fit_nowhere_are_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sft\.max_length=8: no example fits"):
        run(tmp_path, base, config(max_length=8))


def test_too_few_problems_in_a_file_are_an_error(base: Path, tmp_path: Path) -> None:
    made = config()
    made.problems.source, made.problems.train_path = "jsonl", str(tmp_path / "p.jsonl")
    (tmp_path / "p.jsonl").write_text(json.dumps({"question": "1+1?", "answer": "2", "cot": "2."}) + "\n")
    with pytest.raises(ConfigError, match=r"sft\.examples=48: .* has 1\. Set sft\.examples=1"):
        run(tmp_path, base, made)


def test_identity_is_of_what_is_learnt() -> None:
    assert stage.identity(config(format="cot")) != stage.identity(config(format="pot"))
    changed = config(format="pot")
    changed.problems.terse_share = 0.1
    changed.execution.micro_batch = 3
    assert stage.identity(changed) == stage.identity(config(format="pot"))
    release = config()
    release.prompts = "release"
    assert stage.identity(release) != stage.identity(config())
