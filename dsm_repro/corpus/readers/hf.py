"""Hugging Face data sets, as the files that they consist of.

A data set is written ``ID[:CONFIG][@REVISION][?split=NAME]``: ``open-web-math/open-web-math``,
``HuggingFaceTB/finemath:finemath-4plus@main?split=train``. In place of the id stands the path of a
local folder: one that ``save_to_disk`` left, or one of parquet or JSON-lines files. A local folder is
preferred to a data set of the hub with that name. Without ``?split=`` the split is ``train``.

Files are read by this package's own readers, so that a set of the hub needs no second copy as Arrow,
is spread over shards, and damage costs what is damaged. The revision is resolved to its commit, which
is part of every file's address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dsm_repro.config.corpus_schema import ExtractionConfig
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.pages import Drop, RawPage
from dsm_repro.corpus.readers import arrow, jsonl, parquet
from dsm_repro.corpus.readers.inputs import InputFile, find_files, from_remote, named
from dsm_repro.corpus.readers.remote import find_remote, is_remote

SUFFIXES = (*parquet.SUFFIXES, *arrow.SUFFIXES, *jsonl.SUFFIXES)
_FORMATS: tuple[Any, ...] = (parquet, arrow, jsonl)
_SPEC = re.compile(r"(?P<id>[^:@?]+)(:(?P<config>[^@?]+))?(@(?P<revision>[^?]+))?(\?split=(?P<split>[^?&]+))?")


@dataclass(frozen=True)
class DataSet:
    """``where`` is a folder's path or an id of the hub; ``config`` and ``revision`` None mean the default."""

    where: str
    config: str | None
    revision: str | None
    split: str

    @property
    def local(self) -> bool:
        return Path(self.where).is_dir()


def parsed(spec: str, key: str) -> DataSet:
    """The data set that a path of ``corpus.paths`` names.

    Raises:
        ConfigError: it is not written as the module's docstring says.
    """
    folder, _, split = spec.partition("?split=")
    if folder and Path(folder).is_dir():  # a folder's name may hold a colon
        return DataSet(folder, None, None, split or "train")
    match = _SPEC.fullmatch(spec)
    if match is None or is_remote(spec):
        raise ConfigError(f"{key}: {spec}: write ID[:CONFIG][@REVISION][?split=NAME], or a local folder for ID.")
    return DataSet(match["id"], match["config"], match["revision"], match["split"] or "train")


def find(paths: Sequence[str], key: str) -> list[InputFile]:
    """Files of the splits, each once, sorted by name.

    Raises:
        ConfigError: no path, a wrong spelling, no such config or split, or files of another format.
        DataError: neither a local folder nor to be reached on the hub.
    """
    if not paths:
        raise ConfigError(f"{key}=[]: give at least one data set: an id of the hub or a local folder.")
    found: dict[str, InputFile] = {}
    for path in paths:
        for file in _files(parsed(path, key), key):
            found[file.address] = file
    return named(found.values())


def read(file: InputFile, guards: ExtractionConfig) -> Iterator[RawPage | Drop]:
    """Every row of one file of a data set. Raises as the reader of the file's format."""
    pages: Iterator[RawPage | Drop] = _format(file.address).read(file, guards)
    return pages


def parts(file: InputFile) -> list[int]:
    """Bytes of the parts that a local file can be cut into."""
    cut = getattr(_format(file.address), "parts", None)
    return [] if cut is None else cut(file)


def _files(data: DataSet, key: str) -> list[InputFile]:
    if data.local and (saved := _saved(data, key)) is not None:
        return find_files(saved, SUFFIXES, key)
    addresses = _data_files(data, key) if data.local else _hub_files(data, key)
    foreign = [address for address in addresses if _format(address) is None]
    if foreign:
        raise ConfigError(
            f"{key}: {data.where}: {foreign[0]}: only parquet, Arrow and JSON-lines files are read. The hub keeps "
            f"most sets as parquet too: {data.where}@refs/convert/parquet; or save the set with save_to_disk."
        )
    if data.local:
        return find_files(addresses, SUFFIXES, key)
    return [from_remote(file) for address in addresses for file in find_remote(address, SUFFIXES, key)]


def _saved(data: DataSet, key: str) -> list[str] | None:
    """Files of a folder that ``save_to_disk`` left, by its own lists; None for another folder.

    Not ``load_from_disk``: it opens every file, which takes long and fails as a whole where one is damaged.
    """
    folder = Path(data.where)
    several = folder / "dataset_dict.json"
    try:
        if several.is_file():
            splits = json.loads(several.read_text(encoding="utf-8"))["splits"]
            folder /= data.split
        elif (folder / "state.json").is_file():
            # one split was saved by itself; mostly its name was not
            splits = [json.loads((folder / "state.json").read_text(encoding="utf-8")).get("_split") or "train"]
        else:
            return None
        _check_split(data, splits, key)
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return [str(folder / item["filename"]) for item in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{key}: {folder}: not as save_to_disk leaves it ({error!r}). Save the set again.") from error


def _data_files(data: DataSet, key: str) -> tuple[str, ...]:
    """What `datasets` takes as the files of the split: addresses with the commit, or absolute paths."""
    from datasets import load_dataset_builder

    where = str(Path(data.where).absolute()) if data.local else data.where
    try:
        builder = load_dataset_builder(where, name=data.config, revision=data.revision)
    except ValueError as error:  # an unknown config
        raise ConfigError(f"{key}: {data.where}: {error}") from error
    except Exception as error:  # the hub client's and `datasets`' own kinds
        raise DataError(
            f"{key}: {data.where}: no local folder of that name with data in it, and as a data set of the hub it "
            f"cannot be opened ({type(error).__name__}: {error}). Check the name, the network and HF_TOKEN."
        ) from error
    files = builder.config.data_files or {}
    _check_split(data, [str(split) for split in files], key)
    return tuple(map(str, files[data.split]))


#: the hub is asked once per process, so that one run sees one state of it
_hub_files = lru_cache(maxsize=256)(_data_files)


def _check_split(data: DataSet, splits: Sequence[str], key: str) -> None:
    if data.split not in splits:
        raise ConfigError(f"{key}: {data.where}?split={data.split}: the splits are {', '.join(splits)}.")


def _format(address: str) -> Any:
    """The reader module of a file, by its suffix; None for another format."""
    name = address.lower()
    return next((module for module in _FORMATS if name.endswith(module.SUFFIXES)), None)
