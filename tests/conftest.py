"""For all tests: the garbage collector does not walk through the libraries again and again.

A trainer collects garbage when it begins, and with torch, transformers and TRL imported that takes longer than its
steps on the tests' models.
"""

from __future__ import annotations

import gc
import sys

import pytest

#: so many new modules are worth another freeze
IMPORTED = 50

_modules = 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _modules
    if len(sys.modules) >= _modules + IMPORTED:
        gc.freeze()
        _modules = len(sys.modules)
