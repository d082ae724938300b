"""The stage ``base``: the model that an arm starts from.

Published weights are loaded and stored. A tiny model is made on the spot: all roles of a scale start
from one initialisation and share one tokenizer, and differ only in the text that they read, so that a
comparison of roles is a comparison of that text. The rate stays at its peak after the warm-up: the
paper starts from the checkpoint right before learning-rate decay (Table 4).
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_path import folder_of, is_local, missing
from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig
from dsm_repro.config.resolve import resolve_model
from dsm_repro.config.schema import Config
from dsm_repro.miniature.text import KINDS, fingerprint
from dsm_repro.miniature.tokenizer import SAMPLE_CHARACTERS
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.pretraining.schedule import multi_step
from dsm_repro.training.planning import SAVED_BYTES, parameters, shape_notes, trainer_memory, training_estimate
from dsm_repro.training.trainer import steps_and_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: raised when weights out of a GGUF file would be others
GGUF_CONVERSION = 1
#: one initialisation for all roles
INITIALISATION_SEED = 1
WARMUP_SHARE = 0.1
#: a tiny model may read its text this often
MAX_EPOCHS = 8.0
ADAM_BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
MAX_GRAD_NORM = 1.0


def _spec(config: Config) -> tuple[ModelSpec, TinyModelConfig | None]:
    """The model's spec, and how to make it if it is made here. Raises ConfigError for a spec that says neither."""
    spec = resolve_model(config)
    if spec.path is not None:
        return spec, None
    if spec.tiny is None:
        raise ConfigError(
            f"scale.models.{config.base.role}: neither path (published weights) nor tiny (made on the spot) is set. "
            "Set one of them."
        )
    unknown = sorted(set(spec.tiny.text) - set(KINDS))
    if unknown:
        raise ConfigError(
            f"scale.models.{config.base.role}.tiny.text.{unknown[0]}: no such kind of text. Use {', '.join(KINDS)}."
        )
    return spec, spec.tiny


def identity(config: Config) -> Any:
    spec, tiny = _spec(config)
    if tiny is None:
        # a local folder enters by its content, through inputs
        name = None if inputs(config) else spec.path
        converted = {"gguf": GGUF_CONVERSION} if spec.gguf else {}
        return {"path": name, "revision": spec.revision, "dtype": config.base.dtype, **converted}
    kinds = {kind for kind, share in tiny.text.items() if share > 0} | set(SAMPLE_CHARACTERS)
    return {
        "tiny": asdict(tiny),
        "dtype": config.base.dtype,
        "seed": config.seeds.base,
        "text": {kind: fingerprint(kind) for kind in sorted(kinds)},
    }


def inputs(config: Config) -> tuple[Path, ...]:
    spec, tiny = _spec(config)
    if tiny is not None or not spec.path or not is_local(spec.path):
        return ()
    folder = folder_of(spec.path) or Path(spec.path)
    return (folder / spec.gguf if spec.gguf else folder,)


def estimate(config: Config) -> Estimate:
    spec, tiny = _spec(config)
    if tiny is None:
        # published weights are copied, on the host
        size = float((parameters(spec) or 0) * SAVED_BYTES.get(config.base.dtype, 4))
        return Estimate(disk_bytes=size, memory_bytes=size, notes=shape_notes(spec))
    key = f"scale.models.{config.base.role}.tiny"
    steps, rows = steps_and_rows(tiny.tokens, tiny.batch_tokens, tiny.context_length, key)
    memory = trainer_memory(config, rows, tiny.context_length, fused=False)
    return training_estimate(config, steps * rows * tiny.context_length, tiny.context_length, memory=memory)


def run(ctx: StageContext) -> None:
    spec, tiny = _spec(ctx.config)
    if tiny is None:
        _publish(ctx, spec)
    else:
        _make(ctx, tiny)


def _publish(ctx: StageContext, spec: ModelSpec) -> None:
    """Published weights, checked and stored in ``base.dtype``."""
    from dsm_repro.training.declared_shape import check_declared_shape
    from dsm_repro.training.models import load_model, load_tokenizer, save_model

    key = f"scale.models.{ctx.config.base.role}"
    dtype, source = ctx.config.base.dtype, str(spec.path)
    path = folder_of(source) if is_local(source) else source
    if path is None:
        raise ConfigError(f"{key}.path={source}: {missing(source, spec.gguf)}")
    if spec.gguf:
        from dsm_repro.training.gguf import load_gguf

        model, tokenizer = load_gguf(Path(path), spec.gguf)
    else:
        model, tokenizer = load_model(path, dtype, "cpu", spec.revision), load_tokenizer(path, spec.revision)
    check_declared_shape(spec, model, key)
    save_model(model, tokenizer, ctx.out / "model", dtype)
    quantised = {"gguf": spec.gguf} if spec.gguf else {}
    ctx.record({"source": source, "revision": spec.revision, "parameters": model.num_parameters(), **quantised})


def _make(ctx: StageContext, tiny: TinyModelConfig) -> None:
    from dsm_repro.miniature.tokenizer import train_tokenizer
    from dsm_repro.pretraining.run import TextMix, TextSource, train_on_text
    from dsm_repro.training.models import resolve_device, save_model
    from dsm_repro.training.trainer import Optimisation, prepare_torch

    role, seed, dtype = ctx.config.base.role, ctx.config.seeds.base, ctx.config.base.dtype
    key = f"scale.models.{role}.tiny"
    prepare_torch(ctx, INITIALISATION_SEED)
    tokenizer = train_tokenizer(tiny.vocab_size)
    model = initial_model(tiny, tokenizer, key).to(resolve_device(ctx.config.execution))
    steps, rows = steps_and_rows(tiny.tokens, tiny.batch_tokens, tiny.context_length, key)
    opt = Optimisation(
        section=key,
        steps=steps,
        batch_size=rows,
        learning_rate=tiny.learning_rate,
        factor=multi_step(steps, round(WARMUP_SHARE * steps), (), ()),
        adam_beta1=ADAM_BETAS[0],
        adam_beta2=ADAM_BETAS[1],
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=MAX_GRAD_NORM,
        seed=seed,
    )
    text = TextMix(
        weights=tiny.text,
        sources={kind: TextSource(partial(_documents, kind, seed)) for kind in tiny.text},
        length=tiny.context_length,
        max_epochs=MAX_EPOCHS,
        weights_key=f"{key}.text",
        limit_key="the limit on repetition",
    )
    record = train_on_text(ctx, model, tokenizer, text, opt, dtype)
    save_model(model, tokenizer, ctx.out / "model", dtype)
    ctx.record({"source": "tiny", **record})


def _documents(kind: str, seed: int) -> Any:
    from dsm_repro.miniature.text import documents

    return (text for _, text in documents(kind, seed))


def initial_model(tiny: TinyModelConfig, tokenizer: PreTrainedTokenizerBase, key: str) -> PreTrainedModel:
    """A Llama with tied embeddings and random weights that depend on its shape only.

    Raises:
        ConfigError: heads that do not divide the hidden size into parts of even size (rotary embedding).
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if tiny.hidden_size % (2 * tiny.heads):
        raise ConfigError(
            f"{key}.hidden_size={tiny.hidden_size}: not a multiple of twice the heads ({tiny.heads}). "
            f"Set it to a multiple of {2 * tiny.heads}."
        )
    config = LlamaConfig(
        vocab_size=tiny.vocab_size,
        hidden_size=tiny.hidden_size,
        intermediate_size=tiny.intermediate_size,
        num_hidden_layers=tiny.layers,
        num_attention_heads=tiny.heads,
        num_key_value_heads=tiny.heads,
        max_position_embeddings=tiny.context_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    torch.manual_seed(INITIALISATION_SEED)
    return LlamaForCausalLM(config)


def shared(config: Config) -> bool:
    """Published weights are only copied."""
    return _spec(config)[1] is not None


STAGE = Stage(
    name="base", version=1, parents=lambda config: (), identity=identity, run=run, estimate=estimate, inputs=inputs,
    shared=shared,
)  # fmt: skip
