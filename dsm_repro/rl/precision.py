"""Mixed precision for passes that do not go through ``model.forward``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


class Autocast:
    """A mix-in for a trainer: its loss context has the products of ``base.dtype``.

    transformers leaves autocast to accelerate, and accelerate puts it on ``model.forward`` alone. Rollouts, scoring and
    critic call the model's parts, which would then stay in float32 whatever the config says.
    """

    accelerator: Any

    def compute_loss_context_manager(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self.accelerator.autocast()
        return context
