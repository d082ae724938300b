"""The stages there are, by import path: the pipeline learns of them here, and loads only those it needs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.stage import Stage

_STAGES = {
    "crawl": "dsm_repro.corpus.crawl_stage:STAGE",
    "corpus": "dsm_repro.corpus.stage:STAGE",
    "base": "dsm_repro.pretraining.base_stage:STAGE",
    "prior": "dsm_repro.pretraining.prior_stage:STAGE",
    "pretrain": "dsm_repro.pretraining.stage:STAGE",
    "sft": "dsm_repro.finetuning.stage:STAGE",
    "difficulty": "dsm_repro.rl.difficulty.stage:STAGE",
    "reward_model": "dsm_repro.rl.reward_model.stage:STAGE",
    "rl": "dsm_repro.rl.stage:STAGE",
    "evaluate": "dsm_repro.evaluation.stage:STAGE",
}


def registry() -> dict[str, str]:
    """Stage name -> ``module:attribute``, in the order in which an arm passes through them."""
    return dict(_STAGES)


def load(name: str, known: Mapping[str, str] | None = None) -> Stage:
    """The stage of this name, from ``known`` (default: :func:`registry`). Raises ConfigError for a name not in it."""
    paths = _STAGES if known is None else known
    if name not in paths:
        raise ConfigError(f"stage {name}: unknown. Use one of {', '.join(paths)}.")
    module, _, attribute = paths[name].partition(":")
    stage = getattr(importlib.import_module(module), attribute)
    if not isinstance(stage, Stage):
        raise ConfigError(f"stage {name}: {paths[name]} is a {type(stage).__name__}, not a Stage.")
    return stage
