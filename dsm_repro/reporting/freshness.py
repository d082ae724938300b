"""Whether a report is already that of these records: the same command again then renders nothing.

Beside the index lies ``rendered.json``: for each folder of reports, the digest of all that the page was made of (the
index, the manifests of its artifacts, the code of the report) and of the page itself. ``dsm report`` never asks.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsm_repro.pipeline.identity import file_digest
from dsm_repro.pipeline.index import index_path
from dsm_repro.pipeline.store import MANIFEST, write_text

STAMPS = "rendered.json"


def is_current(store_root: Path, name: str, reports_dir: Path) -> bool:
    """Whether ``reports_dir`` has the page of these records, made by this code and not touched since."""
    try:
        return bool(_stamps(store_root, name)[str(reports_dir)] == _stamp(store_root, name, reports_dir))
    except (OSError, KeyError):
        return False


def note(store_root: Path, name: str, reports_dir: Path) -> None:
    """Remember that the page was just made. A store that cannot be written remembers nothing: it is rendered again."""
    with suppress(OSError):
        stamps = {**_stamps(store_root, name), str(reports_dir): _stamp(store_root, name, reports_dir)}
        write_text(_path(store_root, name), json.dumps(stamps, indent=1, sort_keys=True))


def _path(store_root: Path, name: str) -> Path:
    return index_path(store_root, name).with_name(STAMPS)


def _stamps(store_root: Path, name: str) -> dict[str, Any]:
    try:
        told = json.loads(_path(store_root, name).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _stamp(store_root: Path, name: str, reports_dir: Path) -> dict[str, str]:
    index = index_path(store_root, name)
    arms = json.loads(index.read_bytes())["arms"]
    keys = sorted({node for arm in arms for node in arm["stages"].items()})
    manifests = [path for stage, key in keys if (path := store_root / stage / key / MANIFEST).exists()]
    package = Path(__file__).parent
    code = [path for path in sorted(package.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    made_of = hashlib.sha256()
    for path in (index, *manifests, *code):
        made_of.update(f"{path}\n{file_digest(path)}\n".encode())
    return {"made_of": made_of.hexdigest(), "page": file_digest(reports_dir / name / "index.html")}
