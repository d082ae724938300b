"""The typed configuration: one dataclass per room of the house.

An *arm* is one composed :class:`Config`. Fields under ``execution``, ``paths`` and ``sweep`` never
enter a stage's identity; everything else may (each stage says which part in its ``identity``).

Published values and their sections are in ``conf/recipe/``; the values actually used at a scale are
in ``conf/scale/``; a level of a factor is one file in ``conf/<group>/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dsm_repro.config.corpus_schema import (
    CorpusConfig,
)
from dsm_repro.config.evaluation_schema import (
    EvaluationConfig,
    GraderConfig,
    SandboxConfig,
    ToolConfig,
)
from dsm_repro.config.execution_schema import ExecutionConfig
from dsm_repro.config.model_schema import BaseConfig, ModelSpec, TuningConfig
from dsm_repro.config.rl_schema import DifficultyConfig, RewardConfig, RewardModelConfig, RLConfig
from dsm_repro.config.sweep_schema import ReplicatesConfig, SweepConfig
from dsm_repro.config.training_schema import MixConfig, PretrainConfig, ProblemsConfig, SFTConfig, SourceSpec


@dataclass
class SeedsConfig:
    """One seed per stage, so that replicates can start at a stage and share its ancestors."""

    corpus: int = 0
    base: int = 0
    prior: int = 0
    pretrain: int = 0
    sft: int = 0
    difficulty: int = 0
    reward_model: int = 0
    rl: int = 0
    evaluate: int = 0


#: known to the trainers' own integrations
TRACKERS = ("none", "tensorboard", "trackio", "wandb", "mlflow")


@dataclass
class TrackerConfig:
    """Where trainers show their metrics as they train, besides the store: never part of an identity."""

    #: one of TRACKERS
    name: str = "none"
    #: what is kept on this machine
    folder: str = "runs"
    #: internal: the sweep, and the stage with its first arm
    group: str = ""
    run: str = ""


@dataclass
class PathsConfig:
    store: str = "store"
    reports: str = "reports"


@dataclass
class ScaleConfig:
    name: str = "mini"
    #: role -> model
    models: dict[str, ModelSpec] = field(default_factory=dict)
    #: name used in mix.weights -> data set
    sources: dict[str, SourceSpec] = field(default_factory=dict)
    #: what is affordable here, for sweep files to refer to: the seeds, and the first stage that they reach. An interval
    #: covers nothing before that stage
    replicates: ReplicatesConfig = field(default_factory=lambda: ReplicatesConfig("sft", [0, 1, 2]))


@dataclass
class Config:
    seed: int = 0
    seeds: SeedsConfig = field(default_factory=SeedsConfig)
    #: stop after this stage (None: run to the end)
    until: str | None = None
    recipe: str = "paper"
    #: published hyper-parameters, path -> {value, source}; printed beside the values used
    published: dict[str, Any] = field(default_factory=dict)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    #: how a question is put to the model: miniature (short) | release (DeepSeek-Math's own wording)
    prompts: str = "miniature"
    base: BaseConfig = field(default_factory=BaseConfig)
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    #: what is read before the mix, in a stage of its own (§5.1.1); absent without weights
    prior: MixConfig = field(default_factory=lambda: MixConfig(name="none"))
    mix: MixConfig = field(default_factory=MixConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    problems: ProblemsConfig = field(default_factory=ProblemsConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    reward_model: RewardModelConfig = field(default_factory=RewardModelConfig)
    rl: RLConfig = field(default_factory=RLConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    tool: ToolConfig = field(default_factory=ToolConfig)
    grader: GraderConfig = field(default_factory=GraderConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    sweep: SweepConfig | None = None
    #: internal: a launched job runs the stage that this file describes
    worker_spec: str | None = None
