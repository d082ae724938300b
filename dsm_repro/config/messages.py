"""Hydra's and OmegaConf's errors, said in one line that names the key, the value and what would work."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config


def one_line(text: str) -> str:
    return " ".join(text.split())


def _fields_under(path: str) -> list[str]:
    """Names of the fields of the schema's dataclass at a dotted path; empty where the schema does not say."""
    kind: Any = Config
    for name in path.split(".") if path else []:
        if is_dataclass(kind):
            kind = get_type_hints(kind).get(name)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return []
        options = [option for option in get_args(kind) if option is not NoneType]
        if get_origin(kind) is not dict and len(options) == 1:  # X | None
            kind = options[0]
    return sorted(field.name for field in fields(kind)) if is_dataclass(kind) else []


def _unknown_key(key: str) -> str:
    parent, _, leaf = key.rpartition(".")
    known = _fields_under(parent)
    near = difflib.get_close_matches(leaf, known, n=1)
    hint = f" Did you mean {parent + '.' if parent else ''}{near[0]}?" if near else ""
    options = f" {parent or 'The configuration'} has: {', '.join(known)}." if known else ""
    return f"{key}: no such key.{hint}{options}"


def _missing_level(error: MissingConfigException) -> str:
    group, _, level = (error.missing_cfg_file or "").rpartition("/")
    if group and error.options is not None:
        return f"{group}={level}: no such level. Available: {', '.join(sorted(error.options))}."
    return one_line(str(error).split("Config search path")[0])


def _find(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


def explain_hydra_error(error: HydraException | OmegaConfBaseException) -> ConfigError:
    """The same error as a :class:`ConfigError`."""
    if isinstance(error, MissingConfigException):
        return ConfigError(_missing_level(error))
    if isinstance(error, OverrideParseException):
        said = one_line(error.message.split("See https")[0])
        return ConfigError(f"{error.override}: cannot be read ({said}). Write KEY=VALUE, and quote special characters.")
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    text, detail = str(error), str(cause)
    unknown = _find(r"Could not override '([^']+)'", text)
    if unknown is not None and ("not in struct" in text + detail or "not in '" in text + detail):
        return ConfigError(_unknown_key(unknown))
    if unknown is not None and "No match in the defaults list" in text:
        return ConfigError(_unknown_key(unknown.replace("/", ".")))
    key = _find(r"full_key: (\S+)", detail)
    if key is not None and ("not in '" in detail or "not in struct" in detail):
        return ConfigError(_unknown_key(key))
    if isinstance(cause, MissingMandatoryValue) and key is not None:
        return ConfigError(f"{key}: no value given. Set {key}=VALUE.")
    if key is not None:
        said = one_line(detail.split("full_key:")[0])
        override = _find(r"Error merging override (\S+)", text)
        return ConfigError(f"{override or key}: {said}." if override else f"{key}: {said}.")
    return ConfigError(one_line(text if text else detail))
