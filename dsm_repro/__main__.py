"""``python -m dsm_repro`` is ``dsm``."""

from __future__ import annotations

from dsm_repro.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
