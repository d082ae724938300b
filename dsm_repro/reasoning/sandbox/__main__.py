"""`python -m dsm_repro.reasoning.sandbox`: say which back-ends work on this machine, and what to do if none does."""

from __future__ import annotations

from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.reasoning.sandbox.controller import probe

if __name__ == "__main__":
    refusals = {name: probe(name) for name in ISOLATED}
    working = [name for name, reason in refusals.items() if reason is None]
    for name, reason in refusals.items():
        print(f"sandbox {name}: {reason or 'works'}")
    if not working:
        print(
            "Programs that a model writes cannot be isolated here: evaluation=pot and evaluation=both stop with "
            "an error. Install the package bubblewrap, or allow user namespaces."
        )
