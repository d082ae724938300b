"""Hydra's composition for many arms: each file is parsed once, each choice of levels composed once.

Hydra composes an arm in about a tenth of a second or two, nearly all of it spent again on what the arms of a
sweep share. The result here is Hydra's own, to the last leaf (a test compares):

- levels (``rl=ppo``) are composed by Hydra's loader, from files that it parses once in a process;
- plain values (``seed=1``) are laid over a copy of that by the function with which Hydra does it.

What is kept is kept pickled, since Hydra changes what it is given and unpickling is the quickest copy. It is
dropped when a file of ``conf/`` or ``sweeps/`` changes. Interpolations, so the environment too, are kept as
interpolations.
"""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from dsm_repro.config.paths import conf_dir, sweeps_root

#: Hydra's own groups, which say how Hydra works and nothing of the arm: composing them takes as long as the arm
HYDRA_ONLY = tuple(
    f"~hydra/{group}"
    for group in ("launcher", "sweeper", "output", "help", "hydra_help", "job_logging", "hydra_logging")
)

#: path, time and size of every configuration file
Stamp = tuple[tuple[str, int, int], ...]


class _ParsedOnce(ConfigRepository):
    """The files on Hydra's search path, each parsed once; every caller gets a copy of its own."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        self._parsed: dict[str, bytes] = {}
        super().__init__(search_path)

    def __deepcopy__(self, memo: dict[int, object]) -> _ParsedOnce:
        """Hydra takes a copy for each composition, with sources of its own: what is parsed is shared."""
        return copy.copy(self)

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self._parsed:
            self._parsed[config_path] = pickle.dumps(super().load_config(config_path))
        result: ConfigResult | None = pickle.loads(self._parsed[config_path])
        return result


def composed(words: Sequence[str], search_path: str) -> DictConfig:
    """What ``hydra.compose("config", words + [search_path])`` gives, and its errors. Hydra must be initialised.

    ``search_path`` is the override of ``hydra.searchpath``.
    """
    values = [override for override in OverridesParser.create().parse_overrides(list(words)) if _is_value(override)]
    lines = [override.input_line for override in values]
    levels = (*(word for word in words if word not in lines), search_path)
    config: DictConfig = pickle.loads(_levels(levels, _stamp()))
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    return config


def _is_value(override: Override) -> bool:
    """A plain value: neither a level of a group nor Hydra's own, and one only."""
    key = override.key_or_group
    if override.is_sweep_override() or override.is_hydra_override() or override.package is not None:
        return False
    return not any((root / key).is_dir() for root in (conf_dir(), sweeps_root()))


def _stamp() -> Stamp:
    files = [*conf_dir().rglob("*.yaml"), *(sweeps_root() / "sweeps").glob("*.yaml")]
    stats = [(str(path), path.stat()) for path in sorted(files)]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)


@functools.lru_cache(maxsize=1)
def _loader(stamp: Stamp) -> ConfigLoaderImpl:
    search_path = GlobalHydra.instance().config_loader().get_search_path()
    loader = ConfigLoaderImpl(search_path)
    loader.repository = _ParsedOnce(search_path)
    return loader


@functools.lru_cache(maxsize=512)
def _levels(words: tuple[str, ...], stamp: Stamp) -> bytes:
    """The pickled composition, without the ``hydra`` node."""
    concerns_hydra = any(word.lstrip("+~").startswith("hydra") for word in words[:-1])
    config = _loader(stamp).load_configuration(
        "config", [*words, *(() if concerns_hydra else HYDRA_ONLY)], run_mode=RunMode.RUN, from_shell=False
    )
    with open_dict(config):
        del config["hydra"]
    return pickle.dumps(config)
