"""The reward model: the language model without its head, and one number after each token.

It is a ``...ForTokenClassification`` of transformers with one label, so the artifact loads without this project.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForTokenClassification, PreTrainedModel

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.pipeline.cost import ModelShape
from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch, completion_hidden
from dsm_repro.training.models import load_model

#: positions that have no label
IGNORED = -100.0


def initialise(path: Path, device: str) -> PreTrainedModel:
    """A reward model on the backbone of the language model in ``path``, in float32 (§4.2: from DeepSeekMath-Base).

    The head starts at zero: every score is one half.

    Raises:
        ConfigError: an architecture that transformers cannot put a token head on. As :func:`load_model`.
    """
    language_model = load_model(path, "float32", device)
    config: Any = language_model.config
    # else the library's default of 0.1 applies
    config.num_labels, config.classifier_dropout = 1, 0.0
    try:
        model = AutoModelForTokenClassification.from_config(config, attn_implementation="sdpa")
    except ValueError as error:
        raise ConfigError(
            f"{path}: transformers has no token classification for {type(config).__name__} ({_short(error)}). "
            "Use reward=rule, or a base of another architecture."
        ) from error
    model.base_model.load_state_dict(language_model.base_model.state_dict())
    head = _head(model)
    torch.nn.init.zeros_(head.weight)
    if head.bias is not None:
        torch.nn.init.zeros_(head.bias)
    return model.float().to(torch.device(device)).eval()


def load(path: Path, device: str) -> PreTrainedModel:
    """A trained reward model, in float32. Raises DataError for a folder that does not hold one."""
    try:
        model, loading = AutoModelForTokenClassification.from_pretrained(
            str(path), dtype=torch.float32, attn_implementation="sdpa", output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{path}: the reward model cannot be read ({_short(error)}). Delete the artifact.") from error
    if loading["missing_keys"] or model.config.num_labels != 1:
        raise DataError(f"{path}: not a reward model: it lacks the head with one output. Delete the artifact.")
    return model.to(torch.device(device)).eval()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _head(model: Any) -> torch.nn.Linear:
    head = getattr(model, "score", None)
    if not isinstance(head, torch.nn.Linear):
        raise ConfigError(
            f"{type(model).__name__}: its token head is not called `score`, so it cannot score completions with shared "
            "prompts. Use reward=rule, or a base of the Llama or Qwen family."
        )
    return head


def completion_logits(model: PreTrainedModel, batch: Batch) -> Tensor:
    """(B, T) logit after each completion token has been read; the prompt of a group is computed once."""
    # position t of completion_hidden has read t tokens: with one token more, which is not itself read, all of them
    longer = replace(
        batch,
        completion_ids=functional.pad(batch.completion_ids, (0, 1)),
        completion_mask=functional.pad(batch.completion_mask, (1, 0), value=1),
    )
    return _head(model)(completion_hidden(model.base_model, longer))[:, 1:, 0]


def scores_at(model: PreTrainedModel, batch: Batch, ends: list[list[int]], micro_batch: int) -> list[list[float]]:
    """The probability that each step is right, at the positions ``ends`` of each completion."""
    scores: list[list[float]] = [[] for _ in ends]
    with torch.no_grad():
        for index, part in batch.micro_batches(micro_batch):
            probabilities = completion_logits(model, part).float().sigmoid().tolist()
            for row, values in zip(index.tolist(), probabilities, strict=True):
                scores[row] = [values[end] for end in ends[row]]
    return scores


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy summed over the labelled positions; both (B, L), ``IGNORED`` where there is no label."""
    known = labels != IGNORED
    return functional.binary_cross_entropy_with_logits(logits[known].float(), labels[known], reduction="sum")


def score_flops(shape: ModelShape, lengths: accounting.Lengths) -> float:
    """FLOPs of scoring: a forward pass that reads the last token of each completion too; the head has one output."""
    longer = [[length + 1 for length in group] for group in lengths.completions]
    return accounting.forward(replace(shape, vocab_size=1), accounting.Lengths(lengths.prompts, longer))
