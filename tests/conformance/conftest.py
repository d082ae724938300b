"""Makes the small reinforcement-learning world of ``tests/rl`` importable here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "rl"))
