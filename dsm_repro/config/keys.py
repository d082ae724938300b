"""Which keys there are and what kind of value each takes, by the dataclasses of the schema.

Hydra's ``+`` and ``++`` add any key whatever, which nothing would ever read; and what it says of a value of the wrong
kind names classes of its own. So each override is held to the schema before Hydra applies it.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config

#: sections that people take for a value of their own
MEANT = {"seeds": "For replicates write -m seed=0,1, or sweep.replicates.seeds=[0,1] beside sweep=NAME."}


@functools.lru_cache(maxsize=4096)
def kind_at(path: str) -> Any:
    """The type at a dotted path of the schema; ``Any`` where the schema leaves it open, None where there is no key."""
    kind: Any = Config
    for name in path.split(".") if path else []:
        kind = _inside(kind, name)
    return kind


def _inside(kind: Any, name: str) -> Any:
    """The type of what ``name`` is in a section of this type."""
    if kind is Any:
        return Any
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    found = get_type_hints(kind).get(name) if is_dataclass(kind) else None
    if get_origin(found) in (Union, UnionType):  # X | None
        return next(option for option in get_args(found) if option is not NoneType)
    return found


def fields_under(path: str) -> list[str]:
    """Names of the fields of the schema's dataclass at a dotted path; empty where the schema does not say."""
    kind = kind_at(path)
    return sorted(field.name for field in fields(kind)) if is_dataclass(kind) else []


def no_such_key(key: str, known: Sequence[str] = ()) -> str:
    """The message for a key that there is not; ``known``: those beside it, where the schema does not say."""
    parent, _, leaf = key.rpartition(".")
    known = fields_under(parent) or known
    near = difflib.get_close_matches(leaf, known, n=1)
    hint = f" Did you mean {parent + '.' if parent else ''}{near[0]}?" if near else ""
    options = f" {parent or 'The configuration'} has: {', '.join(known)}." if known else ""
    return f"{key}: no such key.{hint}{options}"


def check_override(override: Override, config: DictConfig) -> None:
    """Raise ConfigError for a key outside the schema, or a value that is no list or no section where one belongs.

    ``config`` says which keys there are where the schema leaves them open, as the options of a method.
    """
    key, line = override.key_or_group.replace("/", "."), override.input_line or ""
    value = None if override.is_delete() else override.value()
    for unknown in _unknown(key, value):
        raise ConfigError(no_such_key(unknown))
    parent, _, leaf = key.rpartition(".")
    if kind_at(parent) == dict[str, Any] and not (override.is_add() or override.is_force_add()):
        there = _node(config, parent)
        if isinstance(there, DictConfig) and leaf not in there:
            empty = "" if there else f" {parent} is empty here."
            raise ConfigError(no_such_key(key, sorted(map(str, there))) + empty)
    if value is None or (isinstance(value, str) and "${" in value):
        return
    kind = kind_at(key)
    if get_origin(kind) is list and not isinstance(value, list):
        written = override.get_value_element_as_str()
        raise ConfigError(f"{line}: {key} is a list. Write {key}=[{written}].")
    if (is_dataclass(kind) or get_origin(kind) is dict) and not isinstance(value, dict):
        listed = ", ".join(fields_under(key))
        has = f" and has: {listed}" if listed else ""
        raise ConfigError(f"{line}: {key} is a section{has}. {MEANT.get(key, f'Set {key}.NAME=VALUE.')}")


def _unknown(key: str, value: Any) -> Iterator[str]:
    """The dotted paths of an override that the schema does not have; a mapping may hold several."""
    kind = kind_at(key)
    if kind is None:
        yield key
    elif isinstance(value, dict) and (is_dataclass(kind) or get_origin(kind) is dict):
        for name, item in value.items():
            yield from _unknown(f"{key}.{name}", item)


def _node(config: DictConfig, path: str) -> object:
    node: object = config
    for name in path.split("."):
        node = node.get(name) if isinstance(node, DictConfig) else None
    return node
