"""One untrained model for the room's tests: making its tokenizer is the slow part."""

from __future__ import annotations

from pathlib import Path

import pytest
from untrained import untrained


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dsm_repro.training.models import save_model

    folder = tmp_path_factory.mktemp("parent") / "model"
    save_model(*untrained(seed=0, context=1024), folder)
    return folder
