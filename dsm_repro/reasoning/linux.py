"""The few kernel calls that Python 3.11 has no function for (Linux; on other systems they do nothing or say so)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from functools import cache

PR_SET_PDEATHSIG = 1


@cache
def libc() -> ctypes.CDLL:
    """The C library; kept, because a program's start makes some fifty calls and loading it costs more than they do."""
    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """``result`` of a C call; raises OSError with the call's errno if it is -1."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int) -> None:
    check(libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl({option})")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once if it has already ended.

    The signal is cleared by a change of user, so call it again after one.
    """
    if not sys.platform.startswith("linux"):
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def virtual_memory(proc: int | None = None) -> int:
    """This process's address space in bytes. ``proc`` is a descriptor of /proc, for where that is not mounted."""
    fd = os.open("self/statm" if proc is not None else "/proc/self/statm", os.O_RDONLY, dir_fd=proc)
    with os.fdopen(fd) as f:
        return int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


# --- namespaces and mounts; numbers from <linux/sched.h>, <linux/mount.h>, <linux/prctl.h> ---

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
#: by machine; calls newer than 2019 have one number everywhere
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_MOUNT_SETATTR = 442
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 1, 2, 4
_CAPABILITY_VERSION_3 = 0x20080522


def unshare(flags: int) -> None:
    check(libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    check(libc().mount(*arguments[:3], ctypes.c_ulong(flags), arguments[3]), f"mount {target}")


def unmount(target: str) -> None:
    check(libc().umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    machine = os.uname().machine
    if machine not in _SYS_PIVOT_ROOT:
        raise OSError(f"pivot_root: its call number on {machine} is not known here")
    check(libc().syscall(_SYS_PIVOT_ROOT[machine], os.fsencode(new), os.fsencode(old)), "pivot_root")


def lock_tree(path: str, *, devices: bool = False) -> None:
    """Make a mount and all mounts below it read-only and without set-user-id (and devices). Linux 5.12 or newer."""
    attributes = _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | (0 if devices else _MOUNT_ATTR_NODEV)
    argument = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    result = libc().syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, argument, 32)
    check(result, f"mount_setattr {path}")


def drop_capabilities() -> None:
    """Give up every capability, for good: none can be had back by running another program."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    number = 0
    while True:
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:
            # EINVAL marks the end of the kernel's list.
            break
        number += 1
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    check(libc().capset(header, (ctypes.c_uint32 * 6)()), "capset")


def write_proc(proc: int, name: str, text: str) -> None:
    """Write to a file below /proc, of which ``proc`` is a descriptor."""
    fd = os.open(name, os.O_WRONLY, dir_fd=proc)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def map_ids(proc: int, uid: int, gid: int, outer_uid: int, outer_gid: int) -> None:
    """In the user namespace just entered, be ``uid``:``gid``. ``proc`` is a descriptor of /proc."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        write_proc(proc, f"self/{name}", text)
