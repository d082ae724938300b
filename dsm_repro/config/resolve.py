"""What a config means: which stages an arm has, which model a role is. Light: no torch, no I/O."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.model_schema import ModelSpec
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MixConfig, SourceSpec

#: every stage in the order in which an arm may pass through it
STAGE_ORDER = ("crawl", "corpus", "base", "prior", "pretrain", "sft", "difficulty", "reward_model", "rl", "evaluate")
#: stages that leave a model behind, in the order in which a model passes through them
MODEL_STAGES = ("base", "prior", "pretrain", "sft", "rl")
#: those of them that are next-token training on text
TEXT_STAGES = ("prior", "pretrain")
#: those that train the model that an arm is about, beyond the one that it starts from
TRAINING_STAGES = (*TEXT_STAGES, "sft", "rl")
#: kinds of reward that are the score of a trained model
MODEL_REWARDS = ("outcome", "process")
#: ways of answering in which programs are run
PROGRAM_MODES = ("pot", "tool", "hybrid", "router")
#: stages that need no model
CURATION = ("crawl", "corpus")


def has_stage(config: Config, stage: str) -> bool:
    """Whether the arm needs this stage at all; one it does not need is absent, not a no-op."""
    if stage == "prior":
        return bool(config.prior.weights)
    if stage == "pretrain":
        return config.pretrain.enabled
    if stage == "sft":
        return config.sft.format != "none"
    if stage == "difficulty":
        return config.rl.method != "none" and config.difficulty.method != "none"
    if stage == "reward_model":
        return config.rl.method != "none" and config.reward.kind in MODEL_REWARDS
    if stage == "rl":
        return config.rl.method != "none"
    return True


def model_parent(config: Config, stage: str) -> str:
    """The stage whose policy ``stage`` starts from: the nearest earlier one that this arm has."""
    before = MODEL_STAGES[: MODEL_STAGES.index(stage)] if stage in MODEL_STAGES else MODEL_STAGES
    return [name for name in before if has_stage(config, name)][-1]


def prior_phase(config: Config) -> Config:
    """The config under which the stage ``prior`` is a run of ``pretrain``: its own mix, and nothing before it."""
    return replace(
        config,
        mix=config.prior,
        prior=MixConfig(name="none"),
        pretrain=replace(config.pretrain, enabled=True),
        seeds=replace(config.seeds, pretrain=config.seeds.prior),
    )


def text_phases(config: Config) -> list[tuple[str, Config]]:
    """The phases of continued pre-training that an arm has, in order: config section of the mix, and its config."""
    phases = [("prior", prior_phase(config))] if has_stage(config, "prior") else []
    return phases + ([("mix", config)] if has_stage(config, "pretrain") else [])


def training_tokens(config: Config) -> int:
    """Tokens of training on the mix."""
    return round(config.pretrain.tokens * config.mix.tokens_factor)


def runs_programs(config: Config) -> bool:
    """Whether the evaluation needs a sandbox."""
    return any(mode in PROGRAM_MODES for mode in config.evaluation.modes)


def tuning_identity(config: Config) -> dict[str, Any]:
    """What of ``tuning`` changes the result; all weights, as every run before there were adapters, says nothing."""
    return {} if config.tuning.method == "full" else {"tuning": asdict(config.tuning)}


def resolve_model(config: Config) -> ModelSpec:
    """The model that ``base.role`` stands for at this scale."""
    try:
        return config.scale.models[config.base.role]
    except KeyError:
        known = ", ".join(sorted(config.scale.models)) or "none"
        raise ConfigError(
            f"base.role={config.base.role}: scale={config.scale.name} has no model for this role (it has: {known}). "
            "Choose one of these, or add the role to the scale's YAML."
        ) from None


def resolve_source(config: Config, name: str) -> SourceSpec:
    """The data set that a name in ``mix.weights`` stands for at this scale."""
    try:
        return config.scale.sources[name]
    except KeyError:
        known = ", ".join(sorted(config.scale.sources)) or "none"
        raise ConfigError(
            f"mix.weights.{name}: scale={config.scale.name} has no source of this name (it has: {known}). "
            "Use one of these, or add the source to the scale's YAML."
        ) from None
