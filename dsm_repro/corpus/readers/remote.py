"""Files at fsspec addresses (``s3://``, ``https://``, ``gs://``, ``hf://``, ``zip://…::…``).

A remote file is copied to a temporary file and read there. Every format here is read whole, so nothing
is transferred in vain; recovery can seek; and a fault of the network stays a fault of the network: the
shard stops, instead of counting as damaged what is whole.

Credentials and options are fsspec's own: its environment variables and ``~/.config/fsspec``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from dsm_repro.config.errors import ConfigError, DataError

#: seconds before each further attempt to copy a file: servers of crawls answer 503 under load
RETRY_PAUSES = (2.0, 8.0, 30.0)
#: what servers call a digest of the content or its version: it alone says whether the content changed
_DIGESTS = (
    "etag", "checksum", "md5", "md5hash", "content-md5", "content_md5", "digest", "crc", "crc32c", "sha256",
    "blob_id", "generation", "version_id", "versionid",
)  # fmt: skip
#: the second best
_TIMES = ("last-modified", "lastmodified", "last_modified", "updated", "mtime", "modified", "created")
#: aiohttp gives up after 300 s in all, which a WARC of 1 GB can need; silence of this length is an error
_SILENCE_SECONDS = 120.0


@dataclass(frozen=True)
class RemoteFile:
    """``stamp`` holds what the server says about the content; empty where it says nothing but the size."""

    address: str
    size: int | None
    stamp: tuple[tuple[str, str], ...]


def is_remote(address: str) -> bool:
    """True for an fsspec address that is not of this machine's files."""
    return ("://" in address or "::" in address) and not address.startswith(("file://", "local://"))


def path_of(address: str) -> str:
    """The path in an address: without a web address's query, and with the path in an archive behind the archive's."""
    if not is_remote(address):
        return address
    chain = address.split("::")
    first = chain[0].partition("?")[0] if chain[0].startswith(("http://", "https://")) else chain[0]
    return "/".join([*reversed(chain[1:]), first.partition("://")[2] if chain[1:] else first])


@lru_cache(maxsize=4096)
def find_remote(pattern: str, suffixes: tuple[str, ...], key: str) -> tuple[RemoteFile, ...]:
    """Files that an address, a glob or a remote folder means; asked once per process.

    Raises:
        ConfigError: unknown protocol, or its package is missing. DataError: nothing found, or no access.
    """
    files, path = _filesystem(pattern, key)
    why = ""
    try:
        infos = _infos(files, path, suffixes)
    except FileNotFoundError as error:
        infos, why = [], f" ({error.__cause__})" if error.__cause__ else ""
    except Exception as error:  # each backend has exceptions of its own
        raise DataError(
            f"{key}: {pattern}: cannot be listed ({type(error).__name__}: {error}). "
            f"Check the address, the network and the credentials."
        ) from error
    if not infos:
        raise DataError(
            f"{key}: {pattern}: no such file, or no {'/'.join(suffixes)} file in it{why}. Check the address."
        )
    return tuple(RemoteFile(_address(files, info["name"], pattern), info.get("size"), _stamp(info)) for info in infos)


@contextmanager
def fetched(address: str, size: int | None) -> Iterator[BinaryIO]:
    """A local copy of the file; it is gone when closed, and also when the process is killed while reading.

    Raises:
        DataError: the file could not be copied, or has not the size that it was listed with.
    """
    files, path = _filesystem(address, "corpus.paths")
    with tempfile.TemporaryDirectory(prefix="dsm-") as folder:
        copy = Path(folder) / "copy"
        _copy(files, path, copy, address, size)
        handle = copy.open("rb")
    with handle:
        yield handle


def _copy(files: Any, path: str, copy: Path, address: str, size: int | None) -> None:
    fault = ""
    for pause in (0.0, *RETRY_PAUSES):
        time.sleep(pause)
        try:
            files.get_file(path, str(copy))
        except (FileNotFoundError, PermissionError) as error:
            raise DataError(f"{address}: {error}. Check the address and the credentials.") from error
        except Exception as error:  # each backend has exceptions of its own
            fault = f"{type(error).__name__}: {error}"
            continue
        if size is None or copy.stat().st_size == size:
            return
        fault = f"{copy.stat().st_size} bytes came, {size} were listed"
    raise DataError(
        f"{address}: cannot be copied to {tempfile.gettempdir()} ({fault}). Check the network and the free space "
        f"(TMPDIR names another folder), and run the same command again."
    )


def _filesystem(address: str, key: str) -> tuple[Any, str]:
    import fsspec

    protocol = address.partition("://")[0]
    if "::" in address and "://" not in address.partition("::")[0]:
        raise ConfigError(f"{key}: {address}: leave {address.partition('::')[0]}:: out: files are copied once anyway.")
    options: dict[str, Any] = {}
    if protocol in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS)
        options = {"client_kwargs": {"timeout": timeout}}
    try:
        files, path = fsspec.core.url_to_fs(address, **options)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{key}: {address}: {error}. Correct the protocol, or install its package.") from error
    except Exception as error:  # credentials, an archive that is missing or no archive
        raise DataError(f"{key}: {address}: {type(error).__name__}: {error}. Check the address.") from error
    return files, path


def _infos(files: Any, path: str, suffixes: tuple[str, ...]) -> list[dict[str, Any]]:
    from glob import has_magic

    try:
        # first as it stands: brackets and question marks are legal in addresses
        info = files.info(path)
    except FileNotFoundError:
        if not has_magic(path):
            raise
        info = None
    if info is None:
        found = [item for item in files.glob(path, detail=True).values() if item["type"] == "file"]
    elif info["type"] == "directory":
        inside = files.find(path, detail=True).values()
        found = [item for item in inside if item["name"].lower().endswith(suffixes)]
    else:
        found = [info]
    # a web server's listing has names only
    return [info if info.get("size") is not None else files.info(info["name"]) for info in found]


def _address(files: Any, path: str, pattern: str) -> str:
    first, chained, rest = pattern.partition("::")
    if chained:
        return f"{first.partition('://')[0]}://{path}::{rest}"
    address: str = files.unstrip_protocol(path)
    return address


def _stamp(info: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    said = {name.lower(): str(value) for name, value in info.items() if value not in (None, "")}
    known = [name for name in _DIGESTS if name in said] or [name for name in _TIMES if name in said]
    return tuple((name, said[name]) for name in sorted(known))
