"""A :class:`Config` as plain JSON values and back: what travels to a worker and into the sweep's index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config


def to_container(config: Config) -> dict[str, Any]:
    """``config`` as dicts, lists, text, numbers, booleans and None. ``from_container`` gives an equal config."""
    return asdict(config)


def from_container(container: Mapping[str, Any]) -> Config:
    """The typed config that a plain container describes; fields it lacks take the schema's defaults.

    Raises :class:`ConfigError` naming the key for one the schema lacks, a value of the wrong type, a
    missing mandatory value (``???``) and an interpolation that cannot be resolved.
    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(dict(container)))
        OmegaConf.resolve(merged)
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        where = error.full_key or error.key or "config"
        raise ConfigError(
            f"{where}: {error.msg or error}. Correct this key; dsm_repro/config/schema.py lists the fields and types."
        ) from error
    if not isinstance(config, Config):
        raise ConfigError(f"config: expected a mapping of config fields, got {type(container).__name__}.")
    return config
