"""Where model-written Python runs: an OS sandbox around one warm interpreter per worker."""

from dsm_repro.reasoning.sandbox.controller import Sandbox
from dsm_repro.reasoning.sandbox.execution import Execution

__all__ = ["Execution", "Sandbox"]
