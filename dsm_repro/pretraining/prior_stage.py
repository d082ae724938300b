"""The stage ``prior``: training on code or general text before the mix (§5.1.1, the first of two stages).

It is a run of ``pretrain`` under another config: the mix is ``prior``, and what it starts from is the base model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dsm_repro.config.resolve import prior_phase
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext
from dsm_repro.pretraining import stage as pretrain


def parents(config: Config) -> tuple[str, ...]:
    return pretrain.parents(prior_phase(config))


def identity(config: Config) -> Any:
    return pretrain.identity(prior_phase(config))


def inputs(config: Config) -> tuple[Path, ...]:
    return pretrain.inputs(prior_phase(config))


def estimate(config: Config) -> Estimate:
    return pretrain.estimate(prior_phase(config))


def run(ctx: StageContext) -> None:
    pretrain.run(replace(ctx, config=prior_phase(ctx.config)))


STAGE = Stage(
    name="prior", version=1, parents=parents, identity=identity, run=run, estimate=estimate, inputs=inputs,
    shared=lambda config: True,
)  # fmt: skip
