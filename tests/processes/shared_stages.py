"""Training stages of a few steps for several processes, as specs of the worker; and many of them in one stage.

Starting processes takes longer than all their steps here, so the stage ``ALL`` runs one training after the other.
"""

from __future__ import annotations

import copy
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import resume_stages
from reward_world import judged_by_text, small_reward_model
from rl_world import make_config, make_model_folder

from dsm_repro.config.container import to_container
from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig
from dsm_repro.config.rl_schema import DifficultyConfig
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MixConfig, PretrainConfig, SFTConfig, SourceSpec
from dsm_repro.finetuning import stage as sft
from dsm_repro.pipeline.cost import Cost
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.stage import Stage, StageContext, StageEnd
from dsm_repro.pipeline.worker import Spec
from dsm_repro.pretraining import stage as pretrain
from dsm_repro.rl.difficulty import stage as difficulty
from dsm_repro.rl.reward_model import stage as reward_model

TINY = TinyModelConfig(hidden_size=32, layers=2, heads=2, intermediate_size=64, vocab_size=258, context_length=256)


def config(method: str = "grpo", rl_steps: int = 4, **sft_settings: Any) -> Config:
    """Examples and completions are unequally long, so that each process has other numbers of target tokens."""
    made = make_config(method, rl_steps)
    made.rl.questions_per_step = 4
    made.corpus.decontamination.unchecked = ["miniature/test"]
    made.scale.models = {"coder": ModelSpec(tiny=TINY)}
    made.scale.sources = {"code": SourceSpec(kind="miniature", name="code")}
    made.mix = MixConfig(weights={"code": 1.0})
    made.pretrain = PretrainConfig(
        tokens=2_048, batch_tokens=480, sequence_length=64, warmup_steps=2, peak_learning_rate=3e-3
    )
    made.sft = replace(
        SFTConfig(examples=48, steps=4, batch_size=8, learning_rate=3e-3, max_length=200, packing=False),
        **sft_settings,
    )
    # several forward passes in each process
    made.execution.micro_batch = 2
    # a checkpoint after every step but the last
    made.execution.checkpoint_seconds = 0.0
    return made


def _make_model(ctx: StageContext) -> None:
    make_model_folder(ctx.out / "model")


#: a model that has learnt nothing, under the name of any stage that a training starts from
BASE, PRETRAIN, SFT = (
    Stage(name=name, version=1, parents=lambda config: (), identity=lambda config: {}, run=_make_model)
    for name in ("base", "pretrain", "sft")
)
#: with a reward that varies
RL = resume_stages.RL


def _judged(stage: Stage, module: str) -> Stage:
    """The stage with verdicts that vary, which ``module`` asks for."""

    def run(ctx: StageContext) -> None:
        with mock.patch(f"{module}.verdicts", judged_by_text):
            stage.run(ctx)

    return replace(stage, run=run)


REWARD_MODEL = _judged(reward_model.STAGE, "dsm_repro.rl.reward_model.labels")
DIFFICULTY = _judged(difficulty.STAGE, "dsm_repro.rl.rewards")


def _pass_rates() -> Config:
    """Three batches of answers for two processes."""
    made = config()
    made.difficulty = DifficultyConfig(method="pass_rate", questions=6, samples=2, sampling_rows=4)
    return made


def _in_bfloat16() -> Config:
    made = config()
    made.base.dtype = "bfloat16"
    return made


#: name, stage, its parents, config
PARTS = (
    ("pretrain", pretrain.STAGE, ("base",), config()),
    # five rows for two processes, which take two at a time: one forward pass has nothing to learn from
    ("sft", sft.STAGE, ("pretrain",), config(batch_size=5)),
    ("packed", sft.STAGE, ("pretrain",), config(packing=True, batch_size=3)),
    ("reward_model", REWARD_MODEL, ("pretrain", "sft"), small_reward_model(config(), "process")),
    ("difficulty", DIFFICULTY, ("sft",), _pass_rates()),
    ("grpo", RL, ("sft",), config("grpo")),
    ("ppo", RL, ("sft",), config("ppo")),
    ("pretrain_bfloat16", pretrain.STAGE, ("base",), _in_bfloat16()),
    ("sft_bfloat16", sft.STAGE, ("pretrain",), _in_bfloat16()),
)
#: those that leave no model
UNTRAINED = ("difficulty",)
#: those that can be sharded, fewer
SHARDED = ("pretrain", "sft", "pretrain_bfloat16", "sft_bfloat16")
#: those whose moments alone are cut up here: what keeps whole weights, and one that need not
CUT_MOMENTS = ("sft", "grpo", "ppo")
PARTS_OF = {"none": tuple(name for name, *_ in PARTS), "fsdp2": SHARDED, "zero1": CUT_MOMENTS}


def _run_all(ctx: StageContext) -> None:
    """Each part as a stage of its own, and then again from its last checkpoint: ``NAME/once`` and ``NAME/again``."""
    first = os.environ.get("RANK", "0") == "0"
    for name, stage, parents, made in PARTS:
        if name not in PARTS_OF[ctx.config.execution.sharding]:
            continue
        made = copy.deepcopy(made)
        made.execution = ctx.config.execution
        out, scratch = ctx.out / name / "again", ctx.scratch / name
        for folder in (out, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(2):
            if attempt:
                shutil.copytree(out, ctx.out / name / "once")
            part = replace(
                ctx, config=made, out=out, scratch=scratch, parents=dict.fromkeys(parents, ctx.parents["base"]),
                cost=Cost(),
            )  # fmt: skip
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


#: stage -> itself, its import path, its parent
_KNOWN = {
    "all": (ALL, "shared_stages:ALL", BASE),
    "sft": (sft.STAGE, "dsm_repro.finetuning.stage:STAGE", PRETRAIN),
    "rl": (RL, "shared_stages:RL", SFT),
}


def specs(store: Path, name: str, made: Config, processes: int, sharding: str = "none") -> tuple[Spec, Spec]:
    """The stage's parent and the stage itself, under one key whatever the number of processes."""
    made = copy.deepcopy(made)
    made.execution.processes, made.execution.sharding = processes, sharding
    stage, path, parent = _KNOWN[name]
    start = stage_key(parent, made, {})
    key = stage_key(stage, made, {parent.name: start})
    told = to_container(made)
    return (
        Spec(parent.name, f"shared_stages:{parent.name.upper()}", start, told, {}, str(store)),
        Spec(stage.name, path, key, told, {parent.name: start}, str(store)),
    )
