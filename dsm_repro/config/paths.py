"""Where the configuration, the sweeps, the store and the reports lie."""

from __future__ import annotations

from pathlib import Path

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config

PACKAGE = Path(__file__).resolve().parents[1]


def _assets() -> Path:
    """The folder that holds ``conf/`` and ``sweeps/``: inside an installed package, or a checkout's root."""
    installed = PACKAGE / "_assets"
    return installed if (installed / "conf").is_dir() else PACKAGE.parent


def conf_dir() -> Path:
    """The Hydra configuration."""
    return _assets() / "conf"


def sweeps_root() -> Path:
    """The folder that holds ``sweeps/``: an entry of Hydra's search path, so that ``+sweeps=NAME`` is found."""
    return _assets()


def sweep_names() -> list[str]:
    """The sweeps that ``sweep=NAME`` may name, sorted."""
    return sorted(path.stem for path in (sweeps_root() / "sweeps").glob("*.yaml"))


def store_dir(config: Config) -> Path:
    """The artifact store (``paths.store``), absolute."""
    return _folder(config.paths.store, "paths.store", "DSM_STORE")


def reports_dir(config: Config) -> Path:
    """The folder of rendered reports (``paths.reports``), absolute."""
    return _folder(config.paths.reports, "paths.reports", "DSM_REPORTS")


def _folder(path: str, key: str, variable: str) -> Path:
    if not path.strip():
        # an empty path is the current folder, which is hardly meant
        raise ConfigError(f"{key}={path!r}: names no folder. Give one, or unset {variable} if it is set to nothing.")
    return Path(path).expanduser().absolute()
