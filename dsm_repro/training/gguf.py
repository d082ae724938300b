"""Weights from a GGUF file: read and de-quantised by transformers, then an ordinary model.

A quantised file holds rounded weights, so what is made from it is not the model that its authors evaluated, though
near it. A report of such a model says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError, DataError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_gguf(folder: Path, file: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model (float32, evaluation mode) and tokenizer with its chat template, from ``folder/file``.

    The model that transformers builds keeps a note of the quantisation, by which it refuses to be saved, and a copy
    would be packed again when loaded. So the weights are put into a fresh model of the same shape; logits are equal.

    Raises:
        ConfigError: the library gguf is missing, or the tokenizer has tokens without an embedding.
        DataError: a file that cannot be read, or of an architecture that transformers does not read.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from dsm_repro.training.models import check_fit, no_progress_bars

    no_progress_bars()
    try:
        read = AutoModelForCausalLM.from_pretrained(str(folder), gguf_file=file)
        tokenizer = AutoTokenizer.from_pretrained(str(folder), gguf_file=file)
    except ImportError as error:
        raise ConfigError(f"{folder / file}: reading it needs a library ({error}). pip install gguf.") from error
    # readers of the format raise what they like at a damaged file
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{folder / file}: cannot be read as GGUF ({type(error).__name__}: {reason}).") from error
    described = read.config.to_dict()
    # else the copy says of itself that it is quantised, and is loaded as such
    for note in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        described.pop(note, None)
    config = AutoConfig.for_model(**described)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.generation_config = read.generation_config
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    check_fit(model, tokenizer, str(folder / file))
    return model.eval(), tokenizer
