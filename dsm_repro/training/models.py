"""Loading and saving models, with errors that say what to do. No heavy import at the top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.model_path import is_local
from dsm_repro.config.schema import ExecutionConfig
from dsm_repro.pipeline.cost import ModelShape

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda")


def resolve_device(execution: ExecutionConfig) -> str:
    """``"cuda"`` or ``"cpu"`` from ``execution.device``.

    Raises:
        ConfigError: an unknown device, or cuda where there is none.
    """
    import torch

    if execution.device not in DEVICES:
        raise ConfigError(f"execution.device={execution.device}: use one of {', '.join(DEVICES)}.")
    available = torch.cuda.is_available()
    if execution.device == "cuda" and not available:
        raise ConfigError("execution.device=cuda: torch sees no GPU here. Set execution.device=auto or cpu.")
    return "cuda" if available and execution.device != "cpu" else "cpu"


def load_model(
    path: str | Path, dtype: str, device: str, revision: str | None = None, quantisation: Any = None
) -> PreTrainedModel:
    """A causal language model from a local folder or a hub id, on ``device``, in evaluation mode.

    ``quantisation`` (``training.adapters.quantisation``) holds its weights in fewer bits. Attention runs through
    torch's ``scaled_dot_product_attention``. The tokenizer beside the weights is checked: each of its tokens must have
    an embedding.

    Raises:
        ConfigError: unknown dtype, a path that does not exist, a tokenizer that does not fit.
        DataError: a folder without weights, or damaged ones.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    if dtype not in DTYPES:
        raise ConfigError(f"base.dtype={dtype}: use one of {', '.join(DTYPES)}.")
    _check_local(path)
    no_progress_bars()
    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            str(path),
            revision=revision,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa",
            output_loading_info=True,
            **({} if quantisation is None else {"quantization_config": quantisation, "device_map": {"": device}}),
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unreadable(path, revision, "model", error) from error
    # the library fills these with random numbers and only warns
    missing = sorted(loading["missing_keys"])
    if missing:
        raise DataError(f"{path}: {len(missing)} weights are missing ({missing[0]}, ...). Copy the folder again.")
    check_fit(model, load_tokenizer(path, revision), str(path))
    model.eval()
    # a quantised one is where it was loaded to, and cannot be moved
    return model if quantisation is not None else model.to(torch.device(device))  # type: ignore[arg-type,no-any-return]


def load_tokenizer(path: str | Path, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a local folder or a hub id, with a padding token (its end-of-text token if it has none).

    Where padding and end-of-text are one token, mask by length or attention, never by the padding id.

    Raises:
        ConfigError: a path that does not exist, or a tokenizer without an end-of-text token.
        DataError: a folder without a tokenizer, or a damaged one.
    """
    from transformers import AutoTokenizer

    _check_local(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision)
    # the tokenizers library raises plain Exception for a file that it cannot parse
    except Exception as error:
        raise _unreadable(path, revision, "tokenizer", error) from error
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"{path}: the tokenizer has no end-of-text token. Set eos_token in its tokenizer_config.json."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer  # type: ignore[no-any-return]


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Every token that ends a completion: what the model declares (an end of turn), and the tokenizer's own."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    declared = [] if declared is None else [declared] if isinstance(declared, int) else list(declared)
    return list(dict.fromkeys([int(tokenizer.eos_token_id), *declared]))  # type: ignore[arg-type]


def save_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, directory: Path, dtype: str | None = None
) -> None:
    """Write model and tokenizer to ``directory``: the same bytes for the same weights.

    ``dtype`` casts the weights (in place) first: training keeps float32 masters, an artifact has ``base.dtype``.
    """
    import torch

    no_progress_bars()
    directory.mkdir(parents=True, exist_ok=True)
    if dtype is not None:
        model.to(getattr(torch, dtype))
    # a trainer turns the cache off, and generation from the saved model would be quadratic
    model.config.use_cache = True
    # else where and how they were loaded becomes part of the artifact
    model.config._name_or_path = ""
    for loaded in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(loaded, None)
    model.save_pretrained(str(directory))
    tokenizer.save_pretrained(str(directory))


def check_fit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Every token needs an embedding. Raises ConfigError."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ConfigError(
            f"{name}: the tokenizer has {len(tokenizer)} tokens and the model {rows} embeddings, so they do not belong "
            "together. Point scale.models.<role>.path to a folder with the model's own tokenizer."
        )


def check_length(model: PreTrainedModel, length: int, key: str) -> None:
    """A row may not be longer than the model's context. Raises ConfigError."""
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and length > context:
        raise ConfigError(f"{key}={length}: the model's context is {context} tokens. Set {key} ≤ {context}.")


def model_shape(model: PreTrainedModel | PretrainedConfig) -> ModelShape:
    """What the FLOP formulas need, from a model (its adapters included) or its config.

    Raises:
        ConfigError: a model whose layers are not those of the formulas, such as a mixture of experts.
    """
    from dsm_repro.training.adapters import adapter_parameters

    config: Any = getattr(model, "config", model)
    width = getattr(config, "head_dim", None)
    shape = ModelShape(
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        intermediate_size=config.intermediate_size,
        vocab_size=config.vocab_size,
        heads=config.num_attention_heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
        adapter_parameters=0 if model is config else adapter_parameters(model),
        head_dim=None if width is None or width * config.num_attention_heads == config.hidden_size else width,
    )
    if model is not config:
        _check_layers(model, shape)
    return shape


def _check_layers(model: Any, shape: ModelShape) -> None:
    """A budget of FLOPs means nothing where they are miscounted. Weights of 4 bits lie packed: not looked at."""
    from torch import nn

    from dsm_repro.training.adapters import is_quantised

    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == shape.layers)
    for layer in () if is_quantised(model) else next(lists, ()):
        weights = sum(w.numel() for name, w in layer.named_parameters() if w.dim() > 1 and ".lora_" not in name)
        if weights != shape.block_parameters:
            raise ConfigError(
                f"scale.models: a layer of this {model.config.model_type} has {weights} weights in matrix products, "
                f"and the FLOP formulas count {shape.block_parameters}: attention and one gated feed-forward network, "
                "as in Llama. Use a model of that kind (no mixture of experts)."
            )


def no_progress_bars() -> None:
    """Progress is the worker's to show, by stage and step."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _check_local(path: str | Path) -> None:
    if not is_local(path):
        return
    if not Path(path).expanduser().is_dir():
        raise ConfigError(
            f"model path {path}: no such folder. Correct scale.models.<role>.path, or put the model there."
        )
    if not (Path(path) / "config.json").is_file():
        raise DataError(f"{path}: no config.json, so this is not a model folder. Save it with save_pretrained.")


def _unreadable(path: str | Path, revision: str | None, what: str, error: Exception) -> ConfigError | DataError:
    reason = " ".join(str(error).split())[:300]
    if is_local(path):
        return DataError(
            f"{path}: the {what} cannot be read ({reason}). Copy the folder again, or delete the artifact."
        )
    at = f" (revision {revision})" if revision else ""
    return ConfigError(
        f"{path}{at}: no local folder of this name, and the {what} could not be had from the model hub ({reason}). "
        "Set scale.models.<role>.path to a local folder, or check the name and the network."
    )
