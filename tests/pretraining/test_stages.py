"""``base`` and ``pretrain`` from config to artifact, on a model of a few thousand weights."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig
from dsm_repro.config.schema import Config, SeedsConfig
from dsm_repro.config.training_schema import MixConfig, PretrainConfig, SourceSpec
from dsm_repro.config.validate import faults
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pretraining import base_stage, prior_stage, stage
from dsm_repro.reasoning.benchmarks import load_own
from dsm_repro.training.planning import parameters

TINY = TinyModelConfig(
    hidden_size=32,
    layers=2,
    heads=2,
    intermediate_size=64,
    vocab_size=300,
    context_length=64,
    text={"code": 0.75, "prose": 0.25},
    tokens=20_000,
    batch_tokens=1_024,
)


def config(**changes: object) -> Config:
    made = Config()
    made.execution.device = "cpu"
    made.corpus.decontamination.unchecked = ["miniature/test"]
    made.scale.models = {"coder": ModelSpec(tiny=TINY), "llm": ModelSpec(tiny=replace(TINY, text={"prose": 1.0}))}
    made.scale.sources = {
        "math": SourceSpec(kind="corpus"),
        "code": SourceSpec(kind="miniature", name="code"),
    }
    made.mix = MixConfig(weights={"math": 0.5, "code": 0.5})
    made.corpus.top_tokens = 100_000
    made.pretrain = PretrainConfig(
        tokens=8_192, batch_tokens=1_024, sequence_length=64, warmup_steps=2, peak_learning_rate=1e-3
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def context(made: Config, folder: Path, parents: dict[str, Path] | None = None) -> StageContext:
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True)
    return StageContext(config=made, out=folder / "out", scratch=folder / "scratch", parents=parents or {})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ctx = context(config(), tmp_path_factory.mktemp("base"))
    start = time.monotonic()
    base_stage.STAGE.run(ctx)
    assert time.monotonic() - start < 20
    return ctx.out


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    pages = [{"text": f"{i} + {i} = {2 * i}. " * 40, "score": 1.0, "tokens": 500} for i in range(60)]
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    (folder / "record.json").write_text(json.dumps({"benchmark": {"names": [load_own(config()).id]}}))
    return folder


def test_base_leaves_a_model_that_learnt_something(base: Path) -> None:
    from dsm_repro.training.models import load_model, load_tokenizer

    record = json.loads((base / "record.json").read_text())
    first = json.loads((base / "metrics.jsonl").read_text().splitlines()[0])
    assert record["loss"] < first["loss"] - 0.3
    assert record["steps"] == 19
    assert record["tokens"] == 19 * 1_024
    model, tokenizer = load_model(base / "model", "float32", "cpu"), load_tokenizer(base / "model")
    assert model.config.use_cache
    assert model.config.tie_word_embeddings
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, None)
    assert "/" not in (base / "model" / "config.json").read_text()


def test_the_same_config_gives_the_same_bytes(base: Path, tmp_path: Path) -> None:
    ctx = context(config(), tmp_path)
    base_stage.STAGE.run(ctx)
    assert files(ctx.out) == files(base)


def test_roles_share_tokenizer_and_initialisation() -> None:
    from dsm_repro.miniature.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(300)
    one, other = (base_stage.initial_model(tiny, tokenizer, "k") for tiny in (TINY, replace(TINY, text={"prose": 1.0})))
    assert all((a == b).all() for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_identity_is_of_the_model_not_of_its_name() -> None:
    named = config()
    named.scale.models["again"] = named.scale.models["coder"]
    named.base.role = "again"
    assert base_stage.identity(named) == base_stage.identity(config())
    named.base.role = "llm"
    assert base_stage.identity(named) != base_stage.identity(config())


def test_published_weights_are_loaded_and_stored(base: Path, tmp_path: Path) -> None:
    made = config()
    made.corpus.decontamination.unchecked = ["miniature/test"]
    made.scale.models = {"coder": ModelSpec(path=str(base / "model"))}
    ctx = context(made, tmp_path)
    base_stage.STAGE.run(ctx)
    assert files(ctx.out / "model") == files(base / "model")
    assert base_stage.inputs(made) == (base / "model",)


#: of TINY, as one would declare it of published weights
SHAPE: dict[str, Any] = {
    "hidden_size": 32, "layers": 2, "intermediate_size": 64, "vocab_size": 300, "heads": 2, "tied": True,
}  # fmt: skip


def declaring(base: Path, **fields: Any) -> Config:
    return config(scale=replace(config().scale, models={"coder": ModelSpec(path=str(base / "model"), **fields)}))


def test_weights_of_the_declared_shape_are_stored_as_those_that_declare_none(base: Path, tmp_path: Path) -> None:
    ctx = context(declaring(base, **SHAPE), tmp_path)
    base_stage.STAGE.run(ctx)
    assert files(ctx.out / "model") == files(base / "model")
    counted = json.loads((ctx.out / "record.json").read_text())["parameters"]
    assert parameters(ctx.config.scale.models["coder"]) == counted
    # a number of weights may be a round one
    base_stage.STAGE.run(context(declaring(base, parameters=round(counted * 1.01)), tmp_path / "round"))


@pytest.mark.parametrize(
    ("field", "declared"),
    [
        ("hidden_size", 33), ("layers", 28), ("vocab_size", 32_000), ("intermediate_size", 1), ("heads", 1),
        ("kv_heads", 1), ("tied", False), ("biases", True), ("parameters", 7_000_000_000),
    ],
)  # fmt: skip
def test_weights_of_another_shape_than_declared_are_refused(
    base: Path, tmp_path: Path, field: str, declared: Any
) -> None:
    made = declaring(base, **{**SHAPE, "kv_heads": 2, field: declared})
    with pytest.raises(DataError, match=rf"\(scale\.models\.coder\.{field}={declared}, found \w+\).*Set scale\.models"):
        base_stage.STAGE.run(context(made, tmp_path))
    assert base_stage.identity(made) == base_stage.identity(declaring(base))


def test_a_model_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    made = config()
    made.corpus.decontamination.unchecked = ["miniature/test"]
    made.scale.models = {"coder": ModelSpec(path=str(tmp_path / "nothing"))}
    with pytest.raises(ConfigError, match="nothing: no such folder"):
        base_stage.STAGE.run(context(made, tmp_path))


def test_pretrain_reaches_its_shares_and_says_so(base: Path, corpus: Path, tmp_path: Path) -> None:
    made = config()
    assert stage.STAGE.parents(made) == ("corpus", "base")
    ctx = context(made, tmp_path / "run", {"corpus": corpus, "base": base})
    stage.STAGE.run(ctx)
    record = json.loads((ctx.out / "record.json").read_text())
    assert record["target_shares"] == record["achieved_shares"] == {"math": 0.5, "code": 0.5}
    assert record["partly_read"] == ["code"]
    assert record["epochs"]["code"] == 1.0
    assert 0 < record["epochs"]["math"] < 1
    assert record["tokens"] == 8_192
    rates = [json.loads(line)["learning_rate"] for line in (ctx.out / "metrics.jsonl").read_text().splitlines()]
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 3.16e-4])
    assert stage.STAGE.estimate(made).tokens == ctx.cost.tokens["train"]
    assert stage.STAGE.estimate(made).flops == pytest.approx(ctx.cost.flops["train"])


def test_a_mix_without_the_corpus_does_not_wait_for_it() -> None:
    made = config(mix=MixConfig(weights={"math": 0.0, "code": 1.0}))
    assert stage.STAGE.parents(made) == ("base",)
    before = stage.identity(made)
    made.corpus.top_tokens *= 2
    assert stage.identity(made) == before


def test_repeating_a_small_corpus_too_often_is_refused(base: Path, corpus: Path, tmp_path: Path) -> None:
    made = config()
    made.corpus.top_tokens = 500
    with pytest.raises(ConfigError, match=r"mix\.weights\.math: .*epochs, more than pretrain\.max_epochs=8"):
        stage.STAGE.run(context(made, tmp_path / "run", {"corpus": corpus, "base": base}))


def test_a_row_longer_than_the_models_context_is_refused(base: Path, corpus: Path, tmp_path: Path) -> None:
    made = config()
    made.pretrain = replace(made.pretrain, sequence_length=128)
    with pytest.raises(ConfigError, match=r"pretrain\.sequence_length=128: the model's context is 64"):
        stage.STAGE.run(context(made, tmp_path / "run", {"corpus": corpus, "base": base}))


def two_stages() -> Config:
    """Code first, twice as many tokens, then mathematics alone."""
    return config(
        prior=MixConfig("code", {"code": 1.0}, tokens_factor=2.0),
        mix=MixConfig("curated", {"math": 1.0}),
        seeds=SeedsConfig(prior=3, pretrain=4),
    )


def test_the_first_of_two_stages_is_a_run_of_pretrain_on_its_own_mix() -> None:
    made = two_stages()
    alone = replace(made, prior=MixConfig("none"), mix=made.prior, seeds=SeedsConfig(pretrain=3))
    assert prior_stage.identity(made) == stage.identity(alone)
    assert prior_stage.identity(made)["pretrain"]["tokens"] == 2 * made.pretrain.tokens
    assert (prior_stage.parents(made), stage.parents(made)) == (("base",), ("corpus", "prior"))
    # what comes after it is the same training from another start
    assert stage.identity(made) == stage.identity(replace(made, prior=MixConfig("none")))
    assert stage.parents(replace(made, prior=MixConfig("none"))) == ("corpus", "base")
    assert prior_stage.estimate(made).tokens == pytest.approx(2 * stage.estimate(made).tokens, rel=0.1)


def test_training_goes_on_from_the_first_stage(base: Path, corpus: Path, tmp_path: Path) -> None:
    made = two_stages()
    first = context(made, tmp_path / "prior", {"base": base})
    prior_stage.STAGE.run(first)
    record = json.loads((first.out / "record.json").read_text())
    assert record["achieved_shares"] == {"code": 1.0} and record["tokens"] == 16_384
    second = context(made, tmp_path / "pretrain", {"prior": first.out, "corpus": corpus})
    stage.STAGE.run(second)
    losses = [json.loads((ctx.out / "metrics.jsonl").read_text().splitlines()[0])["loss"] for ctx in (first, second)]
    straight = context(replace(made, prior=MixConfig("none")), tmp_path / "alone", {"base": base, "corpus": corpus})
    stage.STAGE.run(straight)
    unprepared = json.loads((straight.out / "metrics.jsonl").read_text().splitlines()[0])["loss"]
    assert losses[1] != unprepared and all(loss > 0 for loss in losses)


def test_a_wrong_share_of_the_first_stage_is_named_as_such() -> None:
    made = replace(two_stages(), prior=MixConfig("code", {"code": 0.5}))
    assert any(line.startswith("prior.weights: the shares") for line in faults(made))
    made = replace(two_stages(), prior=MixConfig("code", {"music": 1.0}), pretrain=PretrainConfig(enabled=False))
    assert any("no source of this name" in line for line in faults(made))


def test_a_file_belongs_to_its_source(tmp_path: Path) -> None:
    """Moved to another source, or all of them exchanged, the same files are another mix."""
    for place in ("math/a", "math/m", "web/z"):
        path = tmp_path / f"{place}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"text": place}) + "\n")

    def key(names: tuple[str, str] = ("math", "web")) -> str:
        made = config(mix=MixConfig(weights=dict.fromkeys(names, 0.5)))
        folders = zip(names, ("math", "web"), strict=True)
        made.scale.sources = {
            name: SourceSpec(kind="jsonl", name=str(tmp_path / folder / "*.jsonl")) for name, folder in folders
        }
        return stage_key(stage.STAGE, made, dict.fromkeys(stage.STAGE.parents(made), "parent"))

    before = key()
    (tmp_path / "math" / "m.jsonl").rename(tmp_path / "web" / "m.jsonl")
    moved = key()
    (tmp_path / "web" / "m.jsonl").unlink()
    assert len({before, moved, key(), key(("web", "math"))}) == 4
