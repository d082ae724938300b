"""The content-addressed store: an artifact is there whole, or it is not there.

Layout, for each stage and key::

    <root>/<stage>/<key>/             the artifact, with manifest.json and cost.json
    <root>/<stage>/<key>.lock         held by the process that makes it
    <root>/<stage>/.<key>.partial/    out/ and scratch/ of a running or killed stage; error.json of a failed one
    <root>/<stage>/<key>.damaged-N/   an artifact whose files no longer match its manifest, set aside

An artifact is written in ``.partial/out`` on the same file system, flushed to disk, and published by
one atomic rename. Nothing that was published is ever changed or deleted here.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dsm_repro.config.errors import DiskFullError, StoreError
from dsm_repro.pipeline.identity import KEY_LENGTH, file_digest, key_of
from dsm_repro.pipeline.staging import Staging

MANIFEST = "manifest.json"
#: what a description (pipeline.identity) consists of; the manifest repeats it
DESCRIPTION_FIELDS = ("stage", "version", "identity", "parents", "inputs")
#: has() reads files up to this size whole (records, metrics), of larger ones only the size
SMALL_FILE_BYTES = 64 * 1024
#: waiting for another process's stage is a matter of minutes, so the lock is tried this seldom (seconds)
LOCK_POLL_SECONDS = 0.1

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
#: errors of a write that found no room
FULL_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NOT_A_FOLDER = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR})


class Store:
    """The artifacts under one root folder. Making a ``Store`` touches no file."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def path(self, stage: str, key: str) -> Path:
        """Where the published artifact lies, whether or not it is there."""
        return self.root / stage / key

    def staging(self, stage: str, key: str) -> Staging:
        """Where the stage works until it is published, whether or not it is there."""
        return Staging(self.root / stage / f".{key}.partial")

    def has(self, stage: str, key: str) -> bool:
        """True if the artifact is there: its manifest is sound and names this key, every file has its size.

        Cheap: only files up to ``SMALL_FILE_BYTES`` are read and compared; :meth:`verify` reads them all.
        """
        folder = self.path(stage, key)
        return folder.is_dir() and self._defect(folder, stage, key, read_up_to=SMALL_FILE_BYTES) is None

    def verify(self, stage: str, key: str) -> None:
        """Compare every file with its sha256. Raises :class:`StoreError` naming the first that does not match."""
        folder = self.path(stage, key)
        if not folder.exists():
            raise StoreError(f"{folder}: there is no such artifact. Run the stage {stage}, or correct the key.")
        defect = self._defect(folder, stage, key, read_up_to=None)
        if defect is not None:
            raise StoreError(
                f"{defect}. The artifact {stage}/{key} is not used. Run the same command again: it is set aside "
                f"as {key}.damaged-N and made anew."
            )

    def load_manifest(self, stage: str, key: str) -> dict[str, Any]:
        """The artifact's manifest. Raises :class:`StoreError` if there is none that can be read."""
        path = self.path(stage, key) / MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise StoreError(f"{path}: there is no such file. Run the stage {stage}, or correct the key.") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read ({error}). Run the stage {stage}: it is made anew.") from error
        if not isinstance(manifest, dict):
            raise StoreError(f"{path}: not a manifest. Run the stage {stage}: it is made anew.")
        return manifest

    def find(self, prefix: str) -> list[tuple[str, str]]:
        """Published (stage, key) pairs, sorted, whose key (or ``stage/key``) starts with ``prefix``."""
        stage_prefix, slash, key_prefix = prefix.rpartition("/")
        found = []
        for folder in self.root.glob("*/*"):
            stage, key = folder.parent.name, folder.name
            named = _KEY.fullmatch(key) and key.startswith(key_prefix) and (not slash or stage == stage_prefix)
            if named and (folder / MANIFEST).is_file():
                found.append((stage, key))
        return sorted(found)

    @contextmanager
    def lock(self, stage: str, key: str, waiting: Callable[[], object] = lambda: None) -> Iterator[Staging]:
        """Hold the lock of one key; waits for whoever holds it. The kernel frees it when the holder dies.

        ``waiting`` is called again and again meanwhile; what it raises ends the wait.
        """
        staging = self.staging(stage, key)
        lock = FileLock(self.root / stage / f"{key}.lock", poll_interval=LOCK_POLL_SECONDS)
        with explained(self.root):
            (self.root / stage).mkdir(parents=True, exist_ok=True)
            while True:
                with suppress(Timeout):
                    lock.acquire(timeout=LOCK_POLL_SECONDS)
                    break
                waiting()
        try:
            yield staging
        finally:
            lock.release()

    def publish(self, stage: str, key: str, manifest: dict[str, Any]) -> Path:
        """Make the staged ``out`` the artifact; call with the lock held. Returns its path.

        Adds ``files`` (relative path -> sha256) and ``sizes`` (bytes) to ``manifest``. Every byte is on
        the disk before the rename, so after a power cut too the artifact is whole or absent.
        """
        staging, target = self.staging(stage, key), self.path(stage, key)
        with explained(staging.path):
            (staging.out / MANIFEST).unlink(missing_ok=True)
            paths, folders = _contents(staging.out)
            names = {path: path.relative_to(staging.out).as_posix() for path in paths}
            files = {names[path]: file_digest(path) for path in paths}
            sizes = {names[path]: path.stat().st_size for path in paths}
            text = json.dumps({**manifest, "files": files, "sizes": sizes}, indent=1)
            (staging.out / MANIFEST).write_text(text, encoding="utf-8")
            for path in [*paths, staging.out / MANIFEST, *folders]:
                _flush(path)
            if target.exists():
                self.set_aside(stage, key)
            staging.out.rename(target)
            _flush(target.parent)
        self.clear_staging(stage, key)
        return target

    def set_aside(self, stage: str, key: str) -> Path:
        """Rename a damaged artifact to the first free ``<key>.damaged-N``; call with the lock held."""
        target = self.path(stage, key)
        n = 1
        while (aside := target.with_name(f"{key}.damaged-{n}")).exists():
            n += 1
        with explained(target):
            target.rename(aside)
        return aside

    def clear_staging(self, stage: str, key: str) -> None:
        """Remove what a published stage left behind; call with the lock held."""
        staging = self.staging(stage, key)
        if staging.path.exists():
            with explained(staging.path):
                shutil.rmtree(staging.path)

    def read_error(self, stage: str, key: str) -> dict[str, Any] | None:
        """What stopped the stage the last time (what ``pipeline.worker.write_error`` notes), or None."""
        try:
            error = json.loads(self.staging(stage, key).error.read_bytes())
        except (OSError, ValueError):
            return None
        return error if isinstance(error, dict) else None

    def _defect(self, folder: Path, stage: str, key: str, read_up_to: int | None) -> str | None:
        """What is wrong with an artifact ("<file>: <what>"), or None. Reads files up to ``read_up_to`` bytes."""
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            return f"{folder / MANIFEST}: cannot be read ({getattr(error, 'strerror', None) or error})"
        defect = manifest_defect(manifest, stage, key)
        if defect is not None:
            return f"{folder / MANIFEST}: {defect}"
        files = manifest["files"]
        for name, size in manifest["sizes"].items():
            path = folder / name
            try:
                if not path.is_file() or path.stat().st_size != size:
                    return f"{path}: missing or not of its recorded size ({size} bytes)"
                if (read_up_to is None or size <= read_up_to) and file_digest(path) != files[name]:
                    return f"{path}: its content does not match the sha256 in {MANIFEST}"
            except OSError as error:
                return f"{path}: cannot be read ({error.strerror})"
        return None


def manifest_defect(manifest: Any, stage: str, key: str) -> str | None:
    """What is wrong with the content of a ``manifest.json`` of the artifact ``stage/key``, or None."""
    if not isinstance(manifest, dict):
        return "not a manifest"
    files, sizes = manifest.get("files"), manifest.get("sizes")
    if not isinstance(files, dict) or not isinstance(sizes, dict) or files.keys() != sizes.keys():
        return "does not list its files"
    if not all(name in manifest for name in DESCRIPTION_FIELDS):
        return "does not say what was computed"
    if manifest["stage"] != stage or key_of({name: manifest[name] for name in DESCRIPTION_FIELDS}) != key:
        return f"describes another artifact than {stage}/{key}"
    return None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError that the user can act on (disk full, no permission) into a :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        told = _told(error, path)
        if told is None:
            raise
        raise told from error


def disk_full(path: Path, ended: str = "") -> DiskFullError:
    """The error for a full disk; ``ended`` is added to what it says."""
    return DiskFullError(
        f"{path}: the disk is full. Free some space, or set paths.store (DSM_STORE) to a folder on another disk, and "
        f"run the same command again: everything finished in the store is intact, and the stage goes on from its last "
        f"checkpoint.{ended}"
    )


def _told(error: OSError, path: Path) -> StoreError | None:
    where = error.filename or path
    if error.errno in FULL_DISK_ERRNOS:
        return disk_full(Path(os.fsdecode(where)))
    if error.errno in _UNWRITABLE:
        return StoreError(
            f"{where}: the store cannot be written ({error.strerror}). Give write permission, or set paths.store "
            f"(DSM_STORE) to a folder that can be written. What is in the store is intact."
        )
    if error.errno in _NOT_A_FOLDER:
        return StoreError(
            f"{where}: in the way of the store's folder ({error.strerror}). Set paths.store (DSM_STORE) to a folder."
        )
    return None


def write_text(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """(files, folders) under ``folder``; folders deepest first, so that a flush goes from the leaves up."""
    files: list[Path] = []
    folders: list[Path] = []
    for name, inner, names in os.walk(folder, topdown=False):
        parent = Path(name)
        folders.append(parent)
        # os.walk does not enter a link to a folder, and so would lose it without a word
        links = [parent / name for name in inner if (parent / name).is_symlink()]
        files += [parent / name for name in names] + links
    for path in [*files, *folders]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(
                f"{path}: not a plain file or folder, so its content cannot be kept. The stage must copy what it "
                f"links to into its artifact."
            )
    return sorted(files), folders


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
