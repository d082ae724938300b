"""From overrides on the command line to typed arms.

``compose`` gives one arm; ``expand`` gives all arms of a sweep file (``sweep=NAME``) or of a plain
multirun (``rl=grpo,ppo seed=0,1,2``). Hydra parses and composes; the result is a :class:`Config`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Glob, Override
from omegaconf import OmegaConf

from dsm_repro.config import multirun, undoing
from dsm_repro.config.composition import composed, parsed
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.messages import HYDRA_ERRORS, explain_hydra_error
from dsm_repro.config.paths import conf_dir, sweep_names, sweeps_root
from dsm_repro.config.resolve import STAGE_ORDER
from dsm_repro.config.schema import Config
from dsm_repro.config.sweep_schema import ReplicatesConfig, SweepConfig
from dsm_repro.config.undoing import key_of

#: those that draw at random: replicates start at one of them
SEEDED_STAGES = tuple(stage for stage in STAGE_ORDER if stage != "crawl")

SEED_KEYS = ("seed", *(f"seeds.{stage}" for stage in SEEDED_STAGES))

#: how Hydra knows ``sweep=NAME``
SWEEP_OVERRIDE = "+sweeps="


@dataclass(frozen=True)
class Arm:
    """One composed config: a level of the factor, under one replicate seed."""

    name: str
    seed: int
    overrides: tuple[str, ...]
    config: Config


@dataclass(frozen=True)
class Sweep:
    """All arms of one command. ``declared`` is false where the factor was inferred from a plain multirun."""

    name: str
    claim: SweepConfig
    arms: tuple[Arm, ...]
    declared: bool

    def first_of_each(self) -> list[Arm]:
        """One arm per name: replicates differ in seeds only."""
        seen: dict[str, Arm] = {}
        for arm in self.arms:
            seen.setdefault(arm.name, arm)
        return list(seen.values())


@functools.cache
def register_schema() -> None:
    """Make ``base_schema``, the typed base of ``conf/config.yaml``, known to Hydra."""
    ConfigStore.instance().store(name="base_schema", node=Config)


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra initialised on ``conf/``; inside ``hydra.main`` it already is."""
    register_schema()
    if GlobalHydra.instance().is_initialized():
        yield
        return
    with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="dsm"):
        yield


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except HYDRA_ERRORS as error:
        raise explain_hydra_error(error) from error


def _parse(overrides: Sequence[str]) -> list[Override]:
    return [parsed(line) for line in overrides]


def _named(override: Override) -> Override:
    """``rl=glob(*)`` with the levels that it matches; raises ConfigError for what gives no list of values."""
    if override.is_interval_sweep():
        raise ConfigError(f"{override.input_line}: no list of values. Give some, or range(START,STOP,STEP).")
    pattern = override.value()
    if not isinstance(pattern, Glob):
        return override
    levels = GlobalHydra.instance().config_loader().get_group_options(override.key_or_group)
    found = pattern.filter(levels)
    if not found:
        what = f"no level matches. Available: {', '.join(levels)}" if levels else "not a group, so it has no levels"
        raise ConfigError(f"{override.input_line}: {what}.")
    return parsed(f"{override.get_key_element()}={','.join(found)}")


def quoted(text: str) -> str:
    """A value for an override, whatever characters it holds."""
    return "'" + text.replace("'", "\\'") + "'"


def search_path_override() -> str:
    """The override by which Hydra finds the files under ``sweeps/``."""
    return f"hydra.searchpath=[{quoted(f'file://{sweeps_root()}')}]"


def translate(overrides: Sequence[str]) -> list[str]:
    """``sweep=NAME`` in Hydra's spelling; raises ConfigError for a sweep that has no file, or another search path."""
    translated = []
    for override in overrides:
        if override.lstrip("+~").startswith("hydra.searchpath"):
            # Hydra does not pass it on to a sweeper, which composes the arms
            raise ConfigError(
                f"{override}: levels and sweeps are read from {conf_dir()} and {sweeps_root() / 'sweeps'} alone. Put "
                "the file there, or set its keys one by one."
            )
        if override.startswith("sweep="):
            name = override.removeprefix("sweep=").removesuffix(".yaml")
            if name not in sweep_names():
                raise ConfigError(f"sweep={name}: no such sweep. Available: {', '.join(sweep_names()) or 'none'}.")
            override = SWEEP_OVERRIDE + name
        translated.append(override)
    return translated


def compose(overrides: Sequence[str]) -> Config:
    """One typed config; raises ConfigError for an unknown group level or key, or a value of the wrong type."""
    with _hydra(), _clear_errors():
        config = OmegaConf.to_object(composed(translate(overrides), search_path_override()))
    if not isinstance(config, Config):
        raise ConfigError(f"{conf_dir() / 'config.yaml'}: 'base_schema' must come first in its defaults list.")
    return config


def expand(overrides: Sequence[str], several: bool = True) -> Sweep:
    """All arms of a command.

    Without ``several``, an override with several values is an error that says how to ask for arms.
    Raises ConfigError, also where an override contradicts the sweep's factor.
    """
    translated = translate(overrides)
    files = [o.removeprefix(SWEEP_OVERRIDE) for o in translated if o.startswith(SWEEP_OVERRIDE)]
    rest = [o for o in translated if not o.startswith(SWEEP_OVERRIDE)]
    with _hydra(), _clear_errors():
        words = [_named(override) for override in _parse(rest)]
        varied = [override for override in words if override.is_sweep_override()]
        if len(files) > 1:
            raise ConfigError(f"sweep={','.join(files)}: one sweep at a time; run the command once for each.")
        if varied and files:
            raise ConfigError(
                f"{varied[0].input_line}: several values beside sweep={files[0]}, which names its own arms. Give one "
                "value, or set the replicates with sweep.replicates.seeds=[0,1,2]."
            )
        if not several:
            refuse_several_values(rest)
        return _from_file(files[0], words) if files else _from_product(words)


def refuse_several_values(overrides: Sequence[str]) -> None:
    """Raise ConfigError for an override with several values: without ``-m`` it is more likely a slip."""
    with _clear_errors():
        for override in _parse(overrides):
            if override.is_sweep_override():
                raise ConfigError(
                    f"{override.input_line}: several values. Add -m to run one arm for each, or quote the value."
                )


def _from_file(name: str, user: list[Override]) -> Sweep:
    """The arms of ``sweeps/NAME.yaml`` x its replicate seeds; overrides of the user apply to all arms."""
    lines = [override.input_line or "" for override in user]
    if not re.match(rb"#\s*@package\s+_global_\s", (sweeps_root() / "sweeps" / f"{name}.yaml").read_bytes()):
        raise ConfigError(f"sweeps/{name}.yaml: does not begin with '# @package _global_', which makes it set sweep.*.")
    claim = compose([*lines, SWEEP_OVERRIDE + name]).sweep
    if claim is None or not claim.arms:
        raise ConfigError(f"sweeps/{name}.yaml: sweep.arms is empty. Name at least one arm with its overrides.")
    stages = _replicated_stages(claim.replicates, name)
    _refuse_replicated_seeds(name, user, claim, {f"seeds.{stage}" for stage in stages})
    owns = {arm: undoing.without_overridden(arm, _parse(own), user, claim) for arm, own in claim.arms.items()}
    _refuse_leaves_of_the_factor(name, user, claim)
    arms: list[Arm] = []
    for arm_name, own in owns.items():
        config = compose([*own, *lines, SWEEP_OVERRIDE + name])
        for seed in claim.replicates.seeds:
            seeds = replace(config.seeds, **dict.fromkeys(stages, seed))
            said = (*own, *lines, *(f"seeds.{stage}={seed}" for stage in stages))
            arms.append(Arm(arm_name, seed, said, replace(config, seeds=seeds, sweep=None, worker_spec=None)))
    return Sweep(claim.name, claim, tuple(arms), declared=True)


def _replicated_stages(replicates: ReplicatesConfig, name: str) -> tuple[str, ...]:
    if replicates.from_stage not in SEEDED_STAGES:
        raise ConfigError(
            f"sweep.replicates.from_stage={replicates.from_stage} (sweep={name}): no such stage. "
            f"Use one of {', '.join(SEEDED_STAGES)}."
        )
    if not replicates.seeds or len(set(replicates.seeds)) < len(replicates.seeds):
        raise ConfigError(f"sweep.replicates.seeds={list(replicates.seeds)}: give at least one seed, each only once.")
    return SEEDED_STAGES[SEEDED_STAGES.index(replicates.from_stage) :]


def _refuse_replicated_seeds(name: str, user: list[Override], claim: SweepConfig, replicated: set[str]) -> None:
    """Raise ConfigError for a seed that the replicates would set to another value, the user's or an arm's own."""
    why = f"sweep={name} replicates from stage {claim.replicates.from_stage} on"
    for override in user:
        if key_of(override) in replicated:
            raise ConfigError(
                f"{override.input_line}: {why}. Set sweep.replicates.seeds=[{override.get_value_element_as_str()}] "
                "instead."
            )
    for arm, own in claim.arms.items():
        for override in _parse(own):
            if key_of(override) in replicated:
                raise ConfigError(f"{override.input_line} (arm {arm}): {why}. Take it out of sweep.arms.{arm}.")


def _refuse_leaves_of_the_factor(name: str, user: list[Override], claim: SweepConfig) -> None:
    """Raise ConfigError for an override of what the levels of the arms make different."""
    asked = undoing.touching(user, claim)
    if not asked:
        return
    others = [override.input_line or "" for override in user if override not in asked]
    try:
        plain = {arm: compose([*own, *others, SWEEP_OVERRIDE + name]) for arm, own in claim.arms.items()}
    except ConfigError:
        # a value that the level leaves to the user: the arms do not differ in it, and the caller composes them with it
        return
    undoing.refuse_leaves(plain, asked, claim)


def _from_product(user: list[Override]) -> Sweep:
    """The cross product of the overrides with several values; a varied seed gives replicates of the same arm."""
    varied = [key_of(override) for override in user if override.is_sweep_override()]
    seed_key = next((key for key in varied if key == "seed" or key.startswith("seeds.")), "")
    named = [key for key in varied if key != seed_key]
    arms: list[Arm] = []
    chosen: dict[str, dict[str, str]] = {}
    compose_once = functools.cache(compose)
    for lines in BasicSweeper.split_arguments(user, max_batch_size=None)[0]:
        values = {key_of(override): override.get_value_element_as_str() for override in _parse(lines)}
        others = tuple(line for line in lines if line.partition("=")[0] != seed_key)
        if seed_key in SEED_KEYS and values[seed_key].isdecimal() and not any("seed" in line for line in others):
            config = _reseeded(compose_once(others), seed_key, int(values[seed_key]))
        else:
            config = compose(lines)
        seed = int(values[seed_key]) if seed_key else config.seed
        name = ",".join(f"{key}={values[key]}" for key in named) or "run"
        chosen[name] = {key: values[key] for key in named}
        arms.append(Arm(name, seed, tuple(lines), replace(config, sweep=None, worker_spec=None)))
    said = [override.input_line or "" for override in user]
    name = multirun.name_of(said)
    claim = SweepConfig(name=name, title=multirun.title_of(said), factor=",".join(named))
    claim.arms = {arm.name: [o for o in arm.overrides if o.split("=")[0].replace("/", ".") in named] for arm in arms}
    configs = {arm.name: arm.config for arm in arms}
    claim.consequences = multirun.consequences(list(configs.values()), named)
    modes = {arm: config.evaluation.modes for arm, config in configs.items()}
    claim.comparisons, claim.caveats = multirun.contrasts(chosen, modes), multirun.caveats(chosen, modes)
    claim.statement = multirun.STATEMENT if claim.comparisons else ""
    claim.replicates = ReplicatesConfig(
        from_stage=seed_key.removeprefix("seeds.") if seed_key and "." in seed_key else SEEDED_STAGES[0],
        seeds=list(dict.fromkeys(arm.seed for arm in arms)),
    )
    return Sweep(name, claim, tuple(arms), declared=False)


def _reseeded(config: Config, key: str, seed: int) -> Config:
    """What ``key=seed`` beside the config's own overrides composes, if none of them names a seed.

    In ``conf/`` every stage's seed is ``${seed}``, and nothing else is.
    """
    if key == "seed":
        return replace(config, seed=seed, seeds=replace(config.seeds, **dict.fromkeys(SEEDED_STAGES, seed)))
    return replace(config, seeds=replace(config.seeds, **{key.removeprefix("seeds."): seed}))
