"""What makes two stages the same: one canonical text, one key.

A key is the sha256 of the canonical JSON of {stage name, stage version, identity config, parents'
keys, digests of the input files}. Two values get one text exactly when they are equal as a reader
of the YAML sees them (``1`` and ``1.0`` are, ``1`` and ``true`` are not). A value with no canonical
form is refused: a guess here would hand somebody another experiment's result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Stage

#: hex characters of the digest that name an artifact's directory (64 bits); the manifest holds all 64
KEY_LENGTH = 16
#: stands for the value on the side that lacks a leaf
ABSENT = "(absent)"


def canonical(value: Any, path: str = "value") -> Any:
    """``value`` as plain JSON types in their one canonical form.

    Tuples become lists, dataclasses dicts, enums their value, whole floats ints. Raises
    :class:`ConfigError` naming the path in the value for NaN, infinities and any other type.
    """
    if isinstance(value, Enum):
        return canonical(value.value, path)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{path}={value!r}: not a finite number, so it has no canonical form. Give a number.")
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, str):
        return _text(value, path)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: canonical(getattr(value, f.name), f"{path}.{f.name}") for f in fields(value)}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(
                    f"{path}: the key {key!r} is {_article(key)}, and only text keys have a canonical form. "
                    f"Write it in quotes."
                )
        return {_text(key, path): canonical(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item, f"{path}[{i}]") for i, item in enumerate(value)]
    raise ConfigError(
        f"{path}={value!r} is {_article(value)}, which has no canonical form. Give text, a number, true/false, "
        f"null, a list or a dict (in a stage's identity: convert it, e.g. str(path), sorted(set), "
        f"OmegaConf.to_container(node))."
    )


def canonical_json(value: Any) -> str:
    """The canonical text of ``value``: ASCII JSON, keys sorted, no spaces. Raises as :func:`canonical`."""
    return _dump(canonical(value))


def description(stage: Stage, config: Config, parents: Mapping[str, str]) -> dict[str, Any]:
    """All that decides ``stage``'s result: its name, version and identity, its parents' keys, its input files.

    ``parents`` maps the name of each parent stage to its key. Input files enter by base name and
    content, so that a data set may move but not change. Raises :class:`ConfigError` for parents that
    are not the stage's and values without canonical form, :class:`DataError` for a missing input.
    """
    expected = set(stage.parents(config))
    if set(parents) != expected:
        raise ConfigError(
            f"stage {stage.name}: reads the artifacts of {sorted(expected)} under this config, but was given the keys "
            f"of {sorted(parents)}. Give one key for each parent."
        )
    return {
        "stage": stage.name,
        "version": stage.version,
        "identity": canonical(stage.identity(config), f"{stage.name}.identity"),
        "parents": {name: parents[name] for name in sorted(parents)},
        "inputs": [{"name": path.name, "sha256": input_digest(path, stage.name)} for path in stage.inputs(config)],
    }


def digest_of(description: Mapping[str, Any]) -> str:
    """The full sha256 (64 hex characters) of a description."""
    return hashlib.sha256(canonical_json(dict(description)).encode()).hexdigest()


def key_of(description: Mapping[str, Any]) -> str:
    """The key: the first ``KEY_LENGTH`` characters of the digest, which name the artifact's directory."""
    return digest_of(description)[:KEY_LENGTH]


def stage_key(stage: Stage, config: Config, parents: Mapping[str, str]) -> str:
    """The key of ``stage`` under ``config`` with these parents' keys. Raises as :func:`description`."""
    return key_of(description(stage, config, parents))


def explain(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The leaves in which two descriptions differ, as (path, value in a, value in b), sorted by path.

    A leaf that one side lacks has the value ``ABSENT`` there.
    """
    left, right = dict(_leaves(canonical(dict(a)), "")), dict(_leaves(canonical(dict(b)), ""))
    return [
        (path, left.get(path, ABSENT), right.get(path, ABSENT))
        for path in sorted(left.keys() | right.keys())
        if path not in left or path not in right or _dump(left[path]) != _dump(right[path])
    ]


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, read in blocks. Raises OSError."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def input_digest(path: Path, stage: str) -> str:
    """sha256 of an input file, or of a folder's sorted (relative path, sha256) pairs. :class:`DataError` if missing."""
    try:
        if path.is_dir():
            members = sorted(p for p in path.rglob("*") if p.is_file())
            pairs = [[p.relative_to(path).as_posix(), _remembered_digest(p)] for p in members]
            return hashlib.sha256(canonical_json(pairs).encode()).hexdigest()
        return _remembered_digest(path)
    except OSError as error:
        raise DataError(
            f"{path}: the stage {stage} reads this file, and it cannot be read ({error.strerror}). "
            f"Correct the path in the config, or put the file there."
        ) from error


def _remembered_digest(path: Path) -> str:
    """Arms of one sweep share their inputs, so a file that has not been touched is read once per process."""
    s = path.stat()
    return _digest_at(path, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


@lru_cache(maxsize=4096)
def _digest_at(path: Path, *stamp: int) -> str:
    return file_digest(path)


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    """(path, leaf) pairs; an empty dict or list is a leaf, or it would not be seen to differ from none."""
    if isinstance(value, dict) and value:
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{path}.{k}" if path else k)]
    if isinstance(value, list) and value:
        return [leaf for i, v in enumerate(value) for leaf in _leaves(v, f"{path}[{i}]")]
    return [(path, value)]


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # a pair of lone surrogates and the character they would encode have the same JSON escape
        raise ConfigError(
            f"{path}={value!r}: not valid Unicode text ({error.reason}). Remove the character."
        ) from error
    return str.__str__(value)


def _dump(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _article(value: Any) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"of type {name}"
