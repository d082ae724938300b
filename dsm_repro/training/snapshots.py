"""Where an artifact keeps the models on its way: the stage ``rl`` writes them, ``evaluate`` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dsm_repro.config.errors import DataError

#: ``<FOLDER>/<index>/`` holds a model
FOLDER = "snapshots"
#: a list with ``index`` and what had been spent by then, in order
SNAPSHOTS_FILE = "snapshots.json"


def read(artifact: Path) -> list[dict[str, Any]]:
    """The snapshots of an artifact, in order; none where it has no list.

    Raises:
        DataError: the list cannot be read.
    """
    path = artifact / SNAPSHOTS_FILE
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Run the stage rl again.") from error
    return list(found)
