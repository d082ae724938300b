"""Hydra's composition for many arms: each file is parsed once, each choice of levels composed once.

Hydra composes an arm in about a tenth of a second or two, nearly all of it spent again on what the arms of a
sweep share. The result here is Hydra's own, to the last leaf (a test compares):

- levels (``rl=ppo``) are composed by Hydra's loader, from files that it parses once in a process, and from where the
  list of files parts from an earlier one;
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
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict
from omegaconf.errors import OmegaConfBaseException

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.keys import check_override
from dsm_repro.config.paths import conf_dir, sweeps_root

#: Hydra's own groups, which say how Hydra works and nothing of the arm: composing them takes as long as the arm
HYDRA_ONLY = tuple(
    f"~hydra/{group}"
    for group in ("launcher", "sweeper", "output", "help", "hydra_help", "job_logging", "hydra_logging")
)

#: what tells a file in the list that Hydra merges
_File = tuple[str | None, str | None, bool | None, str | None, bool | None]

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
            try:
                self._parsed[config_path] = pickle.dumps(super().load_config(config_path))
            except UnicodeDecodeError as error:
                wrong = f"byte {error.object[error.start]:#04x} at {error.start}"
                raise ConfigError(f"{config_path}.yaml: not UTF-8 ({wrong}). Save the file as UTF-8.") from error
        result: ConfigResult | None = pickle.loads(self._parsed[config_path])
        return result


class _PrefixMerged(ConfigLoaderImpl):
    """Hydra's loader, which merges the files of a composition one after another: where a list of files begins like an
    earlier one, it goes on from what that one was there.

    States are kept where two lists parted, since others may part there too.
    """

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self._states: dict[tuple[_File, ...], bytes] = {}
        self._last: tuple[_File, ...] = ()

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        files = tuple((one.config_path, one.package, one.is_self, one.parent, one.primary) for one in defaults)
        parting = next((i for i, (a, b) in enumerate(zip(files, self._last, strict=False)) if a != b), 0)
        known = next((n for n in range(len(files), 0, -1) if files[:n] in self._states), 0)
        self._last = files
        # the longest state that is known, and one more where the lists part
        for end in (parting, len(files)) if parting > known else (len(files),):
            begun = self._states.get(files[:known])
            config = OmegaConf.create() if begun is None else pickle.loads(begun)
            self._merge(config, defaults[known:end], repo)
            if end < len(files):
                self._states[files[:end]], known = pickle.dumps(config), end
        return _stripped(config)

    def _merge(self, config: DictConfig, defaults: Sequence[ResultDefault], repo: IConfigRepository) -> None:
        with flag_override(config, "no_deepcopy_set_nodes", True):
            for default in defaults:
                loaded = self._load_single_config(default=default, repo=repo)
                try:
                    config.merge_with(loaded.config)
                except OmegaConfBaseException as error:
                    raise ConfigCompositionException(
                        f"In '{default.config_path}': {type(error).__name__} raised while composing config:\n{error}"
                    ) from error


def _stripped(config: DictConfig) -> DictConfig:
    """Without the defaults lists of the files, as Hydra leaves it."""
    if config._is_missing() or config._is_none():
        return config
    with flag_override(config, ["readonly", "struct"], False):
        if config._get_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS"):
            config._set_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS", None)
            config.pop("defaults", None)
        for _, value in config.items_ex(resolve=False):
            if isinstance(value, DictConfig):
                _stripped(value)
    return config


def composed(words: Sequence[str], search_path: str) -> DictConfig:
    """What ``hydra.compose("config", words + [search_path])`` gives, and its errors. Hydra must be initialised.

    ``search_path`` is the override of ``hydra.searchpath``.
    """
    values = [override for override in map(parsed, words) if _is_value(override)]
    lines = [override.input_line for override in values]
    levels = (*(word for word in words if word not in lines), search_path)
    for word in levels[:-1]:
        _require_name(parsed(word))
    config: DictConfig = pickle.loads(_levels(levels, _stamp()))
    for override in values:
        _require_parents(override, config)
        check_override(override, config)
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    return config


def _require_name(override: Override) -> None:
    """Raise ConfigError for a level that is no name: Hydra ends in an error of Python's."""
    folder = conf_dir() / override.key_or_group
    if folder.is_dir() and not override.is_delete() and not isinstance(override.value(), str | list):
        names = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        raise ConfigError(f"{override.input_line}: no such level. Available: {names}.")


def _require_parents(override: Override, config: DictConfig) -> None:
    """Raise ConfigError for a value below a node that is none: OmegaConf only asserts that there is one."""
    *above, _ = override.key_or_group.split(".")
    node: object = config
    for depth, name in enumerate(above, 1):
        if not isinstance(node, DictConfig) or name not in node:
            return
        node = node[name]
        if node is None:
            path = ".".join(above[:depth])
            give = "Name the sweep as well: sweep=NAME." if path == "sweep" else f"Give {path} a value first."
            raise ConfigError(f"{override.input_line}: {path} is not set here. {give}")


@functools.lru_cache(maxsize=4096)
def parsed(word: str) -> Override:
    """One override. Arms of a command say the same words again and again; nobody changes what was parsed."""
    return OverridesParser.create().parse_overrides([word])[0]


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
    loader = _PrefixMerged(search_path)
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
