"""For all tests: one thread each, and the garbage collector does not walk through the libraries again and again.

A trainer collects garbage when it begins, and with torch, transformers and TRL imported that takes longer than its
steps on the tests' models.
"""

from __future__ import annotations

import gc
import os
import sys

import pytest

# before numpy or torch is imported: on matrices as small as the tests' a second thread only waits, and does so
# spinning on the core of another pytest worker
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

#: so many new modules are worth another freeze
IMPORTED = 50

_modules = 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _modules
    if len(sys.modules) >= _modules + IMPORTED:
        gc.freeze()
        _modules = len(sys.modules)
