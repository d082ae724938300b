"""One grader and one sandbox for the room's tests: starting their processes is the slow part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dsm_repro.config.evaluation_schema import GraderConfig
from dsm_repro.reasoning.grading import Grader


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    with Grader(GraderConfig(timeout=2.0)) as grader:
        yield grader
