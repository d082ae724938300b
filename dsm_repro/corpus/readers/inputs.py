"""Which files the paths of a configuration mean, and the name under which each appears in a page's source."""

from __future__ import annotations

import glob
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.corpus.readers.remote import RemoteFile, fetched, find_remote, is_remote, path_of


@dataclass(frozen=True)
class InputFile:
    """A file, or some of its parts (row groups, record batches); a stop of None reaches to the end.

    ``name`` is the shortest end of the address that no other file of the same list shares, so it does
    not change when all the files move to another folder.
    """

    address: str
    name: str = ""
    #: bytes; None where a server does not tell
    size: int | None = None
    parts: tuple[int, int | None] | None = None
    #: what a server says about the content (etag, checksums, times), for the identity
    stamp: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def remote(self) -> bool:
        return is_remote(self.address)

    def encoded(self) -> str:
        """One line of text that says all that decides what is read."""
        said = {"address": self.address, "name": self.name, "size": self.size, "parts": self.parts}
        return json.dumps(said, sort_keys=True)

    @staticmethod
    def decoded(text: str) -> InputFile:
        """Inverse of :meth:`encoded`."""
        said = json.loads(text)
        return InputFile(said["address"], said["name"], said["size"], said["parts"] and tuple(said["parts"]))


def find_files(paths: Sequence[str], suffixes: tuple[str, ...], key: str) -> list[InputFile]:
    """Files that paths, globs, folders and fsspec addresses mean, each once, sorted by name.

    In a folder, files with one of ``suffixes`` are taken; a file that is named is taken as it is.

    Raises:
        ConfigError: no path given, or an address that cannot be understood.
        DataError: a path that matches nothing or cannot be read.
    """
    if not all(paths) or not paths:
        raise ConfigError(f"{key}={list(paths)}: give at least one file, folder, glob or address.")
    found: dict[str, InputFile] = {}
    for path in paths:
        for file in _remote(path, suffixes, key) if is_remote(path) else _local(path, suffixes, key):
            found[file.address] = file
    return named(found.values())


def named(files: Iterable[InputFile]) -> list[InputFile]:
    """The same files with the shortest names that tell them apart, sorted by name."""
    waiting = list(files)
    done: list[InputFile] = []
    depth = 1
    while waiting:
        groups: dict[str, list[InputFile]] = defaultdict(list)
        for file in waiting:
            groups[_tail(file.address, depth)].append(file)
        waiting = []
        for name, members in groups.items():
            if len(members) == 1:
                done.append(replace(members[0], name=name))
            elif all(_tail(member.address, depth + 1) == name for member in members):
                done += [replace(member, name=member.address) for member in members]
            else:
                waiting += members
        depth += 1
    return sorted(done, key=lambda file: file.name)


@contextmanager
def opened(file: InputFile) -> Iterator[BinaryIO]:
    """The file for reading and seeking; a remote one is copied to a temporary file first.

    Raises:
        DataError: it cannot be opened or copied.
    """
    if file.remote:
        with fetched(file.address, file.size) as copy:
            yield copy
        return
    try:
        handle = Path(file.address).open("rb")  # noqa: SIM115 (closed below; errors of reading are the reader's)
    except OSError as error:
        raise disk_error(file, error) from error
    with handle:
        yield handle


def disk_error(file: InputFile, error: OSError) -> DataError:
    """For an error of the machine (it has an errno), which says nothing about the file's content."""
    return DataError(f"{file.address}: cannot be read ({error}). Look at the disk, and run the same command again.")


def _local(pattern: str, suffixes: tuple[str, ...], key: str) -> list[InputFile]:
    pattern = pattern.removeprefix("file://").removeprefix("local://")
    # a file may have brackets in its name
    literal = Path(pattern).exists() or not glob.has_magic(pattern)
    matches = [Path(pattern)] if literal else [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 (absolute)
    files: list[Path] = []
    for match in matches:
        if match.is_dir():
            files += [path for path in _walk(match, key) if path.name.lower().endswith(suffixes)]
        elif match.is_file():
            files.append(match)
    if not files:
        raise DataError(f"{key}: {pattern}: no such file, or no {'/'.join(suffixes)} file in it. Check the path.")
    return [_checked(path, key) for path in files]


def _walk(folder: Path, key: str) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{key}: {error.filename}: {error.strerror}. Make the folder readable.") from error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (path for name in names if (path := Path(place, name)).is_file())


def _checked(path: Path, key: str) -> InputFile:
    if not os.access(path, os.R_OK):
        raise DataError(f"{key}: {path}: permission denied. Make the file readable.")
    # not resolved: a link's own name is the one a person gave
    address = os.path.abspath(path)  # noqa: PTH100
    try:
        address.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{key}: {address!r}: the file's name is not UTF-8. Rename it.") from error
    return InputFile(address, size=path.stat().st_size)


def _remote(pattern: str, suffixes: tuple[str, ...], key: str) -> list[InputFile]:
    return [from_remote(file) for file in find_remote(pattern, suffixes, key)]


def from_remote(file: RemoteFile) -> InputFile:
    return InputFile(file.address, size=file.size, stamp=dict(file.stamp))


def _tail(address: str, depth: int) -> str:
    return "/".join(path_of(address).split("/")[-depth:])
