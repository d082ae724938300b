"""Hydra's and OmegaConf's errors, said in one line that names the key, the value and what would work."""

from __future__ import annotations

import re
from dataclasses import fields

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.keys import no_such_key
from dsm_repro.config.sweep_schema import ComparisonConfig

#: what :func:`explain_hydra_error` has a message for
HYDRA_ERRORS = (HydraException, OmegaConfBaseException, YAMLError)


def one_line(text: str) -> str:
    return " ".join(text.split())


def _missing_level(error: MissingConfigException) -> str:
    group, _, level = (error.missing_cfg_file or "").rpartition("/")
    if group and error.options is not None:
        return f"{group}={level}: no such level. Available: {', '.join(sorted(error.options))}."
    return one_line(str(error).split("Config search path")[0])


def _find(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


def _not_yaml(error: YAMLError) -> str:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return one_line(str(error))
    mark = error.problem_mark
    return (
        f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: not YAML ({error.problem}). Quote text with a "
        "colon and a blank in it, and close what is opened."
    )


def explain_hydra_error(error: HydraException | OmegaConfBaseException | YAMLError) -> ConfigError:
    """The same error as a :class:`ConfigError`."""
    if isinstance(error, YAMLError):
        return ConfigError(_not_yaml(error))
    if isinstance(error, MissingConfigException):
        return ConfigError(_missing_level(error))
    if isinstance(error, OverrideParseException):
        said = one_line(error.message.split("See https")[0])
        return ConfigError(f"{error.override}: cannot be read ({said}). Write KEY=VALUE, and quote special characters.")
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    text, detail = str(error), str(cause)
    unknown = _find(r"Could not override '([^']+)'", text)
    if unknown is not None and ("not in struct" in text + detail or "not in '" in text + detail):
        return ConfigError(no_such_key(unknown))
    if unknown is not None and "No match in the defaults list" in text:
        return ConfigError(no_such_key(unknown.replace("/", ".")))
    key = _find(r"full_key: (\S+)", detail)
    if key is not None and f"not in '{ComparisonConfig.__name__}'" in detail:
        # of a member of a list OmegaConf does not say where it is
        return ConfigError(no_such_key(f"sweep.comparisons.{key}", [field.name for field in fields(ComparisonConfig)]))
    if key is not None and ("not in '" in detail or "not in struct" in detail):
        return ConfigError(no_such_key(key))
    if isinstance(cause, MissingMandatoryValue) and key is not None:
        return ConfigError(f"{key}: no value given. Set {key}=VALUE.")
    if key is not None:
        said = one_line(detail.split("full_key:")[0])
        override = _find(r"Error merging override (\S+)", text)
        return ConfigError(f"{override or key}: {said}." if override else f"{key}: {said}.")
    return ConfigError(one_line(text if text else detail))
