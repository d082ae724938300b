"""A file system that holds the interpreter and nothing else: read-only, for a mount namespace of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dsm_repro.reasoning import linux

#: the system's programs and libraries: what a distribution installs, nothing of a user's
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
FILES = ("/etc/ld.so.cache",)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
#: empty in the sandbox; a program's own tmpfs is mounted over one of the first two
EMPTY = ("/tmp", "/var/tmp", "/home", "/root", "/run")


def interpreter_directories() -> list[str]:
    """The interpreter's installation and its virtual environment, where they are not the system's."""
    wanted = {os.path.normpath(prefix) for prefix in (sys.base_prefix, sys.prefix)}
    wanted |= {os.path.realpath(prefix) for prefix in wanted}
    chosen: list[str] = []
    for path in sorted(wanted, key=len):
        if path != "/" and not any(path == seen or path.startswith(seen + "/") for seen in ("/usr", *chosen)):
            chosen.append(path)
    return chosen


def scratch_directory() -> str:
    """Where a program's own tmpfs goes: ``/tmp``, or ``/var/tmp`` where the interpreter itself lies below ``/tmp``."""
    below = any(path == EMPTY[0] or path.startswith(EMPTY[0] + "/") for path in interpreter_directories())
    return EMPTY[1] if below else EMPTY[0]


def build_root() -> None:
    """Replace this mount namespace's root by a minimal read-only one.

    A tmpfs on /tmp becomes the root first, with the old root below it, so that every path can still be
    reached while the new root is put together (bubblewrap's way). Raises OSError where the kernel refuses.
    """
    links = {path: Path(path).readlink() for path in SYSTEM if Path(path).is_symlink()}
    directories = [path for path in SYSTEM if Path(path).is_dir() and path not in links] + interpreter_directories()
    # Resolved now: an absolute link would mislead once the old root is no longer "/".
    sources = {path: os.path.realpath(path) for path in directories}
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")
    Path("/tmp/new").mkdir()
    Path("/tmp/old").mkdir()
    linux.pivot_root("/tmp", "/tmp/old")
    os.chdir("/")
    linux.mount("tmpfs", "/new", "tmpfs", linux.MS_NOSUID, "mode=755,size=1m")
    for path, source in sources.items():
        Path("/new" + path).mkdir(parents=True, exist_ok=True)
        _bind("/old" + source, "/new" + path)
    for path, link in links.items():
        Path("/new" + path).symlink_to(link)
    for path in (*FILES, *DEVICES):
        if Path("/old" + path).exists():
            target = Path("/new" + path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
            _bind("/old" + path, str(target), devices=path in DEVICES)
    for path in EMPTY:
        Path("/new" + path).mkdir(parents=True, exist_ok=True)
    linux.unmount("/old")
    os.chdir("/new")
    linux.pivot_root(".", ".")
    linux.unmount(".")
    os.chdir("/")
    linux.mount("none", "/", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID)


def _bind(source: str, target: str, *, devices: bool = False) -> None:
    try:
        linux.mount(source, target, None, linux.MS_BIND)
    except OSError:
        # Mounts below it that belong to a more privileged namespace must come along.
        linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
    linux.lock_tree(target, devices=devices)
