"""Checks of the section ``tuning``: which weights are trained."""

from __future__ import annotations

from collections.abc import Iterator

from dsm_repro.config.execution_schema import CUT_WEIGHTS
from dsm_repro.config.schema import Config

METHODS = ("full", "lora")
QUANTISATIONS = ("none", "nf4")


def tuning_faults(config: Config) -> Iterator[str]:
    """One message for each setting that cannot work."""
    part = config.tuning
    if part.method not in METHODS:
        yield f"tuning.method={part.method}: use one of {', '.join(METHODS)}."
    if part.quantise not in QUANTISATIONS:
        yield f"tuning.quantise={part.quantise}: use one of {', '.join(QUANTISATIONS)}."
    if part.rank < 1:
        yield f"tuning.rank={part.rank}: an adapter needs at least one dimension. Set tuning.rank ≥ 1."
    if not part.alpha > 0:
        yield f"tuning.alpha={part.alpha}: adapters are scaled by alpha / rank. Set it above 0."
    if not part.targets.strip():
        yield "tuning.targets: names no module. Set all-linear, or names as in q_proj,v_proj."
    if part.method == "lora" and config.execution.sharding in CUT_WEIGHTS:
        yield (
            f"execution.sharding={config.execution.sharding}: adapters on weights that are cut up over processes are "
            "not in this version. Set execution=ddp (frozen weights take little), or tuning=full."
        )
    if part.method == "lora" and config.rl.method != "none" and config.rl.engine != "transformers":
        yield (
            f"rl.engine={config.rl.engine}: weights with adapters are not sent to it in this version. Set "
            "rl.engine=transformers, or tuning=full."
        )
    if part.quantise != "none" and part.method != "lora":
        yield (
            f"tuning.quantise={part.quantise}: weights of 4 bits cannot be trained themselves. Set tuning=qlora, or "
            "tuning.quantise=none."
        )
