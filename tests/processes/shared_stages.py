"""Small stages for several processes, as specs of the worker; and many of them in one stage, to start processes once."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import resume_stages
from rl_world import make_config, make_model_folder

from dsm_repro.config.container import to_container
from dsm_repro.config.schema import Config, MixConfig, ModelSpec, PretrainConfig, SFTConfig, SourceSpec, TinyModelConfig
from dsm_repro.finetuning import stage as sft
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.stage import Stage, StageContext, StageEnd
from dsm_repro.pipeline.worker import Spec
from dsm_repro.pretraining import stage as pretrain

TINY = TinyModelConfig(hidden_size=32, layers=2, heads=2, intermediate_size=64, vocab_size=258, context_length=256)


def config(method: str = "grpo", **sft_settings: Any) -> Config:
    """Every training stage in a few steps; batches of rows of unequal length."""
    made = make_config(method, steps=4)
    made.rl.questions_per_step = 4
    made.corpus.decontamination.unchecked = ["miniature/test"]
    made.scale.models = {"coder": ModelSpec(tiny=TINY)}
    made.scale.sources = {"code": SourceSpec(kind="miniature", name="code")}
    made.mix = MixConfig(weights={"code": 1.0})
    made.pretrain = PretrainConfig(
        tokens=4_096, batch_tokens=512, sequence_length=64, warmup_steps=2, peak_learning_rate=3e-3
    )
    made.sft = replace(
        SFTConfig(examples=48, steps=8, batch_size=8, learning_rate=3e-3, max_length=200, packing=False),
        **sft_settings,
    )
    # several forward passes for each process, of rows that are unequally long
    made.execution.micro_batch = 2
    made.execution.checkpoint_seconds = 1e9
    return made


def _make_base(ctx: StageContext) -> None:
    make_model_folder(ctx.out / "model")


BASE = Stage(name="base", version=1, parents=lambda config: (), identity=lambda config: {}, run=_make_base)
RL = resume_stages.RL

#: name, stage, name of the parent, config
PARTS = (
    ("pretrain", pretrain.STAGE, "base", config()),
    ("sft", sft.STAGE, "pretrain", config()),
    ("packed", sft.STAGE, "pretrain", config(packing=True, batch_size=4)),
    ("grpo", RL, "sft", config("grpo")),
    ("ppo", RL, "sft", config("ppo")),
)


def _run_all(ctx: StageContext) -> None:
    """Every part, one after the other, from the same base model."""
    first = os.environ.get("RANK", "0") == "0"
    for name, stage, parent, made in PARTS:
        made = copy.deepcopy(made)
        made.execution = ctx.config.execution
        part = replace(
            ctx, config=made, out=ctx.out / name, scratch=ctx.scratch / name, parents={parent: ctx.parents["base"]}
        )
        for folder in (part.out, part.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            stage.run(part)
        except StageEnd:
            assert not first
    if not first:
        raise StageEnd


ALL = Stage(
    name="sft", version=1, parents=lambda config: ("base",), identity=lambda config: {}, run=_run_all,
    shared=lambda config: True,
)  # fmt: skip


def specs(store: Path, made: Config, stage: str, processes: int = 1) -> tuple[Spec, Spec]:
    """The parent, a base model that has learnt nothing, and ``stage`` of this module (or ``pretrain``, ``sft``)."""
    made = copy.deepcopy(made)
    made.execution.processes = processes
    found = {"ALL": ALL, "RL": RL, "pretrain": pretrain.STAGE, "sft": sft.STAGE}[stage]
    path = {"pretrain": "dsm_repro.pretraining.stage:STAGE", "sft": "dsm_repro.finetuning.stage:STAGE"}
    parent = {"ALL": "base", "RL": "sft", "pretrain": "base", "sft": "pretrain"}[stage]
    start = stage_key(replace(BASE, name=parent), made, {})
    key = stage_key(found, made, {parent: start})
    told = to_container(made)
    return (
        Spec(parent, f"shared_stages:{'BASE' if parent == 'base' else parent.upper() + '_BASE'}", start, told, {}, str(store)),
        Spec(found.name, path.get(stage, f"shared_stages:{stage}"), key, told, {parent: start}, str(store)),
    )


SFT_BASE, PRETRAIN_BASE = replace(BASE, name="sft"), replace(BASE, name="pretrain")


def lines(artifact: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (artifact / "metrics.jsonl").read_text().splitlines()]
