"""Train a model on a mix of texts by tokens: what the stages ``base`` and ``pretrain`` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pretraining.mixture import check_weights, mix, row_targets
from dsm_repro.pretraining.rows import mapped_rows, write_rows
from dsm_repro.pretraining.sources import packed_source

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from dsm_repro.training.trainer import Optimisation


@dataclass(frozen=True)
class TextSource:
    """A source's documents, read when asked for; ``whole`` reads all, else only as many as training needs."""

    documents: Callable[[], Iterator[str]]
    whole: bool = False


@dataclass(frozen=True)
class TextMix:
    """Shares of tokens by source, the limit on repetition, and the keys that errors name."""

    weights: Mapping[str, float]
    sources: Mapping[str, TextSource]
    length: int
    max_epochs: float
    weights_key: str
    limit_key: str


def train_on_text(
    ctx: StageContext,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: TextMix,
    opt: Optimisation,
    dtype: str,
) -> dict[str, Any]:
    """Tokenise, mix and train; the model is changed in place.

    Returns the record's values: target and achieved shares, epochs by source, tokens, steps, loss.
    ``partly_read`` names sources that had more text than was needed: their epochs are at most 1.

    Raises:
        ConfigError: shares that do not sum to 1, a source without text or repeated too often.
    """
    import numpy as np

    from dsm_repro.training.together import in_first
    from dsm_repro.training.trainer import final_loss, train_language_model

    total = opt.steps * opt.batch_size
    needed = row_targets(check_weights(text.weights, text.weights_key), total)
    # what is not asked for is not read: generators
    sources = {
        name: packed_source(
            text.sources[name].documents(), tokenizer, text.length, needed[name], text.sources[name].whole
        )
        for name in needed
    }
    available = in_first(ctx.config.execution, lambda: write_rows(ctx.scratch, sources))
    for name, count in available.items():
        if needed[name] and not count:
            raise ConfigError(
                f"{text.weights_key}.{name}: the source has less text than one row of {text.length} tokens. "
                "Give it more text, or set its weight to 0."
            )
    mixture = mix(
        text.weights, available, total, text.length, text.max_epochs, opt.seed, text.weights_key, text.limit_key
    )
    starts = dict(zip(available, np.cumsum([0, *available.values()])[:-1], strict=True))
    order = [int(starts[name]) + row for name, row in mixture.places]
    rows = mapped_rows(ctx.scratch, sum(available.values()), text.length)
    train_language_model(ctx, model, rows, order, opt, dtype)
    return {
        "target_shares": mixture.target_shares,
        "achieved_shares": mixture.achieved_shares,
        "epochs": mixture.epochs,
        "partly_read": sorted(
            name for name in needed if not text.sources[name].whole and available[name] == needed[name]
        ),
        "tokens": total * text.length,
        "steps": opt.steps,
        "loss": final_loss(ctx),
        "parameters": model.num_parameters(),
    }
