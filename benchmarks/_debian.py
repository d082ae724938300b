"""Manuals of Debian's documentation packages: fetch, unpack, and give every page an address.

Needs ``dpkg-deb``, and ``apt-get download`` where the packages are not at hand (neither installs anything).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dsm_repro.config.errors import DataError


@dataclass(frozen=True)
class Manual:
    """A package and where its pages lie. ``subject``: mathematics | other | mixed, said by us, not measured."""

    package: str
    domain: str
    subject: str
    #: folders below the package's root, and the part of the address that they stand for
    roots: tuple[tuple[str, str], ...]


MANUALS = (
    Manual("python-sympy-doc", "sympy.example", "mathematics", (("usr/share/doc/python-sympy-doc/html", ""),)),
    Manual("octave-doc", "octave.example", "mathematics", (("usr/share/doc/octave", ""),)),
    Manual(
        "gap-doc",
        "gap.example",
        "mathematics",
        (("usr/share/gap/doc", ""), ("usr/share/doc/gap-doc/gap-policy.html", "policy/")),
    ),
    Manual("python-scipy-doc", "scipy.example", "mixed", (("usr/share/doc/python-scipy-doc/html", ""),)),
    Manual("git-doc", "git.example", "other", (("usr/share/doc/git-doc", ""),)),
    Manual("postgresql-doc-15", "postgresql.example", "other", (("usr/share/doc/postgresql-doc-15/html", ""),)),
    Manual("apache2-doc", "apache.example", "other", (("usr/share/doc/apache2-doc/manual", ""),)),
    Manual("sqlite3-doc", "sqlite.example", "other", (("usr/share/doc/sqlite3", ""),)),
)
#: further manuals with mathematics, outside the crawl: a seed corpus
SEED_MANUALS = (
    Manual("python-mpmath-doc", "mpmath.example", "mathematics", (("usr/share/doc/python-mpmath-doc/html", ""),)),
    Manual("libeigen3-doc", "eigen.example", "mathematics", (("usr/share/doc/libeigen3-dev/html", ""),)),
    Manual("maxima-doc", "maxima.example", "mathematics", (("usr/share/doc/maxima-doc/html", ""),)),
)


def fetch(manuals: tuple[Manual, ...], folder: Path) -> dict[str, Path]:
    """Download the packages that ``folder`` does not hold yet; their files by package name.

    Raises:
        DataError: a package cannot be had; says how to get it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for manual in manuals:
        if _deb(folder, manual.package) is None:
            if shutil.which("apt-get") is None:
                raise DataError(
                    f"{manual.package}: not in {folder}, and there is no apt-get here. On a Debian 12 machine: "
                    f"apt-get download {' '.join(m.package for m in manuals)}; then --packages FOLDER."
                )
            done = subprocess.run(
                ["apt-get", "download", manual.package], cwd=folder, capture_output=True, text=True, check=False
            )
            if _deb(folder, manual.package) is None:
                raise DataError(
                    f"apt-get download {manual.package} failed: {done.stderr.strip()[-300:]}. If it is stale, run "
                    "apt-get update; the packages are Debian 12's (https://packages.debian.org/bookworm/)."
                )
    return find(manuals, folder)


def find(manuals: tuple[Manual, ...], folder: Path) -> dict[str, Path]:
    """The packages' files in a folder.

    Raises:
        DataError: one is not there.
    """
    found = {manual.package: _deb(folder, manual.package) for manual in manuals}
    lacking = [package for package, path in found.items() if path is None]
    if lacking:
        raise DataError(f"{folder}: no file {lacking[0]}_*.deb. Lacking: {', '.join(lacking)}.")
    return {package: path for package, path in found.items() if path is not None}


def unpack(deb: Path, folder: Path) -> Path:
    """The tree of a package, without installing it.

    Raises:
        DataError: there is no dpkg-deb, or the file is damaged.
    """
    tree = folder / deb.name.partition("_")[0]
    if not tree.is_dir():
        if shutil.which("dpkg-deb") is None:
            raise DataError("dpkg-deb: not found. It is in the package dpkg, on every Debian and Ubuntu.")
        part = folder / f".{tree.name}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        done = subprocess.run(["dpkg-deb", "-x", str(deb), str(part)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise DataError(f"dpkg-deb -x {deb.name}: {done.stderr.strip()[-300:]}. Download it again.")
        part.rename(tree)
    return tree


def version(deb: Path) -> str:
    """The version in a package's file name."""
    return deb.name.split("_")[1].replace("%3a", ":")


def pages(manual: Manual, tree: Path) -> Iterator[tuple[str, Path]]:
    """Address and file of every HTML page by address. Symbolic links are other names of a page and left out.

    Raises:
        DataError: a folder of the manual is not in the package.
    """
    found = []
    for root, prefix in manual.roots:
        folder = tree / root
        if not folder.is_dir():
            raise DataError(f"{manual.package}: no {root} in it: another version than Debian 12's?")
        for path in folder.rglob("*.html"):
            if path.is_file() and not path.is_symlink():
                found.append((f"https://{manual.domain}/{prefix}{quote(path.relative_to(folder).as_posix())}", path))
    yield from sorted(found)


def _deb(folder: Path, package: str) -> Path | None:
    files = sorted(folder.glob(f"{package}_*.deb"))
    return files[-1] if files else None
