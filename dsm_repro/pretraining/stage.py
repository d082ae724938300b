"""The stage ``pretrain``: continued pre-training on a mix of sources by tokens (§2.2-2.3)."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from dsm_repro.config.gate import gate_notes
from dsm_repro.config.resolve import model_parent, resolve_source, training_tokens
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import SourceSpec
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.pretraining.mixture import check_weights
from dsm_repro.pretraining.rows import rows_note
from dsm_repro.pretraining.schedule import multi_step, warmup_note
from dsm_repro.pretraining.sources import check_kind, files_of, texts
from dsm_repro.training.planning import trainer_memory, training_estimate
from dsm_repro.training.trainer import steps_and_rows

WEIGHTS_KEY = "mix.weights"


def _sources(config: Config) -> dict[str, SourceSpec]:
    """The sources that the mix uses. Raises ConfigError for shares or kinds that cannot be."""
    found = {name: resolve_source(config, name) for name in check_weights(config.mix.weights, WEIGHTS_KEY)}
    for name, spec in found.items():
        check_kind(name, spec)
    return found


def _corpus_tokens(config: Config) -> float:
    return config.corpus.top_tokens * config.mix.math_tokens_factor


def _unranked_note(config: Config) -> tuple[str, ...]:
    """A note where the mix asks for better or worse pages of a source that is not ranked, and gets the same ones."""
    factor, sources = config.mix.math_tokens_factor, _sources(config)
    if factor == 1 or any(spec.kind == "corpus" for spec in sources.values()):
        return ()
    kind = f" with scale.sources.math.kind={sources['math'].kind}" if "math" in sources else ""
    return (
        f"mix.math_tokens_factor={factor:g} has no effect{kind}: it chooses pages by score, and only kind=corpus has "
        "scores",
    )


def parents(config: Config) -> tuple[str, ...]:
    uses_corpus = any(spec.kind == "corpus" for spec in _sources(config).values())
    return (*(("corpus",) if uses_corpus else ()), model_parent(config, "pretrain"))


def identity(config: Config) -> Any:
    sources = _sources(config)
    described: dict[str, Any] = {}
    for name, spec in sources.items():
        described[name] = {"weight": config.mix.weights[name], "kind": spec.kind}
        if spec.kind == "corpus":
            described[name]["tokens"] = _corpus_tokens(config)
        elif spec.kind == "miniature":
            from dsm_repro.miniature.text import fingerprint

            described[name] |= {"text": spec.name, "fingerprint": fingerprint(spec.name)}
        else:
            described[name] |= {"text_field": spec.text_field, "split": spec.split}
            # local files enter by their content, through inputs: so many of that list are this source's
            files = files_of(name, spec)
            described[name] |= {"files": len(files)} if files else {"name": spec.name}
    values = asdict(config.pretrain) | {"tokens": training_tokens(config)}
    del values["enabled"]
    return {"pretrain": values, "sources": described, "dtype": config.base.dtype, "seed": config.seeds.pretrain}


def inputs(config: Config) -> tuple[Path, ...]:
    """The local files of all sources, by the sources' names: with ``files`` of the identity each is one source's."""
    return tuple(path for name, spec in sorted(_sources(config).items()) for path in files_of(name, spec))


def estimate(config: Config) -> Estimate:
    c = config.pretrain
    _sources(config)
    steps, rows = steps_and_rows(training_tokens(config), c.batch_tokens, c.sequence_length, "pretrain")
    multi_step(steps, c.warmup_steps, c.decay_at, c.decay_to)
    tokens = steps * rows * c.sequence_length
    notes = (*warmup_note(steps, c.warmup_steps), *rows_note(tokens), *gate_notes(config), *_unranked_note(config))
    memory = trainer_memory(config, rows, c.sequence_length, fused=False)
    return training_estimate(config, tokens, c.sequence_length, notes, memory)


def run(ctx: StageContext) -> None:
    """Train on the mix. Raises ConfigError for a corpus that was not checked against the arm's benchmark."""
    from dsm_repro.pretraining.run import TextMix, TextSource, train_on_text
    from dsm_repro.reasoning.benchmarks import require_checked
    from dsm_repro.training.models import check_length, load_model, load_tokenizer, resolve_device, save_model
    from dsm_repro.training.trainer import Optimisation, prepare_torch

    config, c, seed = ctx.config, ctx.config.pretrain, ctx.config.seeds.pretrain
    if "corpus" in ctx.parents:
        require_checked(config, ctx.parents["corpus"])
    prepare_torch(ctx, seed)
    start = ctx.parents[model_parent(config, "pretrain")] / "model"
    # weights are float32 masters while they are trained
    model = load_model(start, "float32", resolve_device(config.execution))
    tokenizer = load_tokenizer(start)
    check_length(model, c.sequence_length, "pretrain.sequence_length")
    steps, rows = steps_and_rows(training_tokens(config), c.batch_tokens, c.sequence_length, "pretrain")
    opt = Optimisation(
        section="pretrain",
        steps=steps,
        batch_size=rows,
        learning_rate=c.peak_learning_rate,
        factor=multi_step(steps, c.warmup_steps, c.decay_at, c.decay_to),
        adam_beta1=c.adam_beta1,
        adam_beta2=c.adam_beta2,
        weight_decay=c.weight_decay,
        max_grad_norm=c.max_grad_norm,
        seed=seed,
    )
    corpus = ctx.parents.get("corpus")
    text = TextMix(
        weights=config.mix.weights,
        sources={
            # the curated corpus is read whole: how often it was repeated is a result
            name: TextSource(partial(texts, name, spec, seed, corpus, _corpus_tokens(config)), spec.kind == "corpus")
            for name, spec in _sources(config).items()
        },
        length=c.sequence_length,
        max_epochs=c.max_epochs,
        weights_key=WEIGHTS_KEY,
        limit_key="pretrain.max_epochs",
    )
    record = train_on_text(ctx, model, tokenizer, text, opt, config.base.dtype)
    save_model(model, tokenizer, ctx.out / "model", config.base.dtype)
    ctx.record(record)


STAGE = Stage(
    name="pretrain", version=1, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs,
    shared=lambda config: True,
)  # fmt: skip
