"""Real prose and real code from what is installed anyway: no download, no invented text.

Four kinds of document are read as files and never imported:

- ``code``: the sources of Python's standard library, without its mathematical modules;
- ``algebraic_code``: mathematical sources (``fractions``, ``statistics``, ..., sympy, mpmath, numpy, scipy);
- ``prose``: natural language from docstrings, the language reference in ``pydoc_data`` and the
  descriptions that packages carry in their metadata;
- ``latex_prose``: docstring paragraphs that carry formulas, with ``:math:`` roles turned into ``$...$``.

Two more are put together from these and from made pages (``text_collections``): ``openwebmath`` and
``mathpile``, the corpora that Table 1 sets beside the curated one.

What is *not* covered: the text depends on the installed versions. :func:`fingerprint` names them, and a
stage that uses this text puts it into its identity.
"""

from __future__ import annotations

import functools
import os
import random
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib import metadata, util
from pathlib import Path

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.miniature import text_cleaning

#: put together in ``text_collections``
COLLECTIONS = ("openwebmath", "mathpile")
KINDS = ("code", "prose", "algebraic_code", "latex_prose", *COLLECTIONS)

MIN_CHARACTERS = 200
MAX_CHARACTERS = 20_000

#: stdlib folders that hold tests, generated tables or another program's copy
_SKIPPED_FOLDERS = (
    "test tests testing __pycache__ site-packages dist-packages idlelib lib2to3 pydoc_data encodings ensurepip "
    "turtledemo lib-dynload unicode _vendor vendored extern externals _mypy_plugins"
)
_MATH_MODULES = ("fractions.py", "statistics.py", "_pydecimal.py", "random.py", "numbers.py", "colorsys.py", "heapq.py")

_PACKAGES: dict[str, tuple[str, ...]] = {
    "code": (),
    "algebraic_code": ("sympy", "mpmath", "numpy", "scipy"),
    "prose": ("torch", "matplotlib", "pandas", "networkx", "sklearn", "statsmodels"),
    "latex_prose": ("scipy", "sympy", "torch", "numpy", "statsmodels", "mpmath", "sklearn", "networkx"),
}
#: sub-folders that are about something (the rest of a large package is plumbing)
_FOLDERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("algebraic_code", "sympy"): ("ntheory", "combinatorics", "core", "functions", "geometry", "integrals", "matrices",
                                  "polys", "sets", "series", "simplify", "solvers", "concrete", "calculus", "stats"),
    ("prose", "torch"): ("nn", "optim", "distributions", "utils", "distributed"),
    ("algebraic_code", "numpy"): ("polynomial", "linalg", "lib", "fft"),
    ("algebraic_code", "scipy"): ("special", "linalg", "optimize", "stats", "integrate", "interpolate", "spatial"),
}  # fmt: skip
#: distributions whose name differs from the module's
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
#: metadata whose description reads as prose (not change logs)
_DESCRIPTIONS = ("more-itertools", "tqdm", "datasets", "accelerate", "psutil", "rich", "peft", "fonttools",
                 "jinja2", "filelock", "hydra-core", "click", "requests", "charset-normalizer", "trl")  # fmt: skip


def documents(kind: str, seed: int) -> Iterator[tuple[str, str]]:
    """Yield ``(name, text)`` of every document of a kind once, in an order that depends on the seed.

    Lazy: files are listed at once and read as they are asked for. Every text has between
    ``MIN_CHARACTERS`` and ``MAX_CHARACTERS`` characters; the same seed and the same installed
    versions give the same sequence.

    Raises:
        ConfigError: ``kind`` is not one of ``KINDS``.
        DataError: a package that the kind is read from is not installed.
    """
    if kind not in KINDS:
        raise ConfigError(f"text kind {kind!r}: not one of {', '.join(KINDS)}. Use one of these.")
    if kind in COLLECTIONS:
        from dsm_repro.miniature.text_collections import collection

        whole = collection(kind)
        random.Random(f"text/{kind}/{seed}").shuffle(whole)
        yield from whole
        return
    files = _files(kind)
    random.Random(f"text/{kind}/{seed}").shuffle(files)
    seen: set[str] = set()
    for name, path in files:
        for part, text in enumerate(_texts(kind, path, seen)):
            yield f"{name}#{part}" if part else name, text


@functools.cache
def fingerprint(kind: str) -> str:
    """Name the versions that the text of a kind comes from: ``"python/3.11.7 numpy/2.4.6 ..."``.

    Raises:
        ConfigError: ``kind`` is not one of ``KINDS``.
        DataError: a package that the kind is read from is not installed.
    """
    if kind not in KINDS:
        raise ConfigError(f"text kind {kind!r}: not one of {', '.join(KINDS)}. Use one of these.")
    if kind in COLLECTIONS:
        from dsm_repro.miniature.text_collections import collection_fingerprint

        return collection_fingerprint(kind)
    names = [_DISTRIBUTIONS.get(package, package) for package in _PACKAGES[kind]]
    names += _DESCRIPTIONS if kind == "prose" else ()
    return versions(names)


def versions(distributions: Iterable[str]) -> str:
    """Python's version and those of distributions, sorted: ``"python/3.11.7 numpy/2.4.6 ..."``.

    Raises:
        DataError: one of them is not installed.
    """
    python = ".".join(str(part) for part in sys.version_info[:3])
    return " ".join([f"python/{python}", *(f"{name}/{_distribution(name).version}" for name in sorted(distributions))])


def _files(kind: str) -> list[tuple[str, Path]]:
    """List the files of a kind as (name, path), sorted by name."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    found: list[tuple[str, Path]] = []
    if kind == "algebraic_code":
        found += [(f"python/{name}", stdlib / name) for name in _MATH_MODULES]
    elif kind in ("code", "prose"):
        found += [(f"python/{relative}", path) for relative, path in _walk(stdlib) if relative not in _MATH_MODULES]
    if kind == "prose":
        found.append(("python/pydoc_data/topics.py", stdlib / "pydoc_data" / "topics.py"))
        for name in _DESCRIPTIONS:
            found.append((f"{name}/description", Path(str(_distribution(name).locate_file(_metadata_path(name))))))
    for package in _PACKAGES[kind]:
        root = _package_root(package)
        for folder in _FOLDERS.get((kind, package), ("",)):
            found += [
                (f"{package}/{(Path(folder) / relative).as_posix()}", path) for relative, path in _walk(root / folder)
            ]
    return sorted(found)


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    skipped = set(_SKIPPED_FOLDERS.split())
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in skipped)
        for name in names:
            # generated and build-specific files differ between machines
            if name.endswith(".py") and not name.startswith(("test_", "_sysconfigdata", "_generated", "__config__")):
                path = Path(folder) / name
                yield path.relative_to(root).as_posix(), path


def _package_root(package: str) -> Path:
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(
            f"package {package!r} is not installed, and the miniature reads text from it. Run `make setup`."
        )
    return Path(spec.origin).parent


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise DataError(
            f"package {name!r} is not installed, and the miniature reads text from it. Run `make setup`."
        ) from error


def _metadata_path(name: str) -> str:
    for path in _distribution(name).files or ():
        if path.name == "METADATA":
            return str(path)
    raise DataError(f"package {name!r}: no METADATA file in its installation. Install it again (`make setup`).")


def _texts(kind: str, path: Path, seen: set[str]) -> Iterator[str]:
    """Yield the documents in a file; ``seen`` holds the paragraphs that were yielded before."""
    try:
        source = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}). Install the package again (`make setup`).") from error
    if kind in ("code", "algebraic_code"):
        pieces = text_cleaning.code_blocks(source)
        glue = "\n\n\n"
    else:
        blocks = [source] if path.name == "METADATA" else text_cleaning.docstrings(source)
        clean = text_cleaning.prose_paragraphs if kind == "prose" else text_cleaning.formula_paragraphs
        pieces = []
        for paragraph in (paragraph for block in blocks for paragraph in clean(block)):
            if paragraph not in seen:
                seen.add(paragraph)
                pieces.append(paragraph)
        glue = "\n\n"
    for text in text_cleaning.pack(pieces, glue, MAX_CHARACTERS):
        if len(text) >= MIN_CHARACTERS and text.isascii():
            yield text
