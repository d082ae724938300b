"""The shape that a config declares of published weights, against the weights': plans and FLOP counts rest on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import DataError
from dsm_repro.config.model_schema import ModelSpec
from dsm_repro.training.planning import shape_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: field of a spec -> what config.json calls it
FIELDS = {
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "intermediate_size": "intermediate_size",
    "vocab_size": "vocab_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
}
#: a declared number of weights may be a round one: 1.5e9
PARAMETERS_WITHIN = 0.05


def check_declared_shape(spec: ModelSpec, model: PreTrainedModel, key: str) -> None:
    """Refuse weights of another shape than ``key`` (``scale.models.<role>``) declares. What it leaves open may be any.

    Raises:
        DataError: names each field with the declared value and the one found.
    """
    wrong = [(field, declared, found) for field, declared, found in _pairs(spec, model) if declared != found]
    if not wrong:
        return
    listed = "; ".join(f"{key}.{field}={declared}, found {found}" for field, declared, found in wrong)
    fix = " ".join(f"{key}.{field}={str(found).lower()}" for field, _, found in wrong)
    raise DataError(
        f"{spec.path}: the weights are not of the declared shape ({listed}). Plans and FLOP counts rest on it. "
        f"Set {fix}, or {key}.path to the weights that were meant."
    )


def _pairs(spec: ModelSpec, model: PreTrainedModel) -> Iterator[tuple[str, Any, Any]]:
    """Field, declared value, value found; fields that either side does not say are left out."""
    shape = shape_of(spec)
    whole = shape is not None and shape.vocab_size > 0
    for field, name in FIELDS.items():
        declared, found = getattr(spec, field), getattr(model.config, name, None)
        if field == "kv_heads" and declared is None and whole:
            declared = spec.heads
        if declared is not None and found is not None:
            yield field, declared, found
    # false where nothing is said, so they mean something only beside the rest
    if whole:
        yield "tied", spec.tied, _is_tied(model)
        yield "biases", spec.biases, any(name.endswith("q_proj.bias") for name, _ in model.named_parameters())
    if spec.parameters is not None:
        counted = model.num_parameters()
        near = abs(spec.parameters - counted) <= PARAMETERS_WITHIN * counted
        yield "parameters", spec.parameters, spec.parameters if near else counted


def _is_tied(model: PreTrainedModel) -> bool:
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    return head is not None and head.weight is embedding.weight
