"""Documents into rows of one length: every token once, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def pack(documents: Iterable[Sequence[int]], eos: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate documents, each followed by ``eos``, and cut into rows of ``length``.

    Returns (rows: int32, n × length; the rest: int32, fewer than ``length`` tokens). A document may
    run over several rows, and a row may hold several documents, which attend to each other (the paper
    does not say that they are kept apart).
    """
    import numpy as np

    parts: list[np.ndarray] = []
    for document in documents:
        parts.append(np.asarray(document, dtype=np.int32))
        parts.append(np.asarray([eos], dtype=np.int32))
    stream = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
    full = len(stream) // length * length
    return stream[:full].reshape(-1, length), stream[full:]
