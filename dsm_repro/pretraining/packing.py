"""Documents into rows of one length: every token once, in order."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: tokens that are held before the rows that they make are passed on
BLOCK = 1_000_000


def pack(documents: Iterable[Sequence[int]], eos: int, length: int, block: int = BLOCK) -> Iterator[np.ndarray]:
    """Concatenate documents, each followed by ``eos``, and cut into rows of ``length``.

    Yields rows (int32, n × length) of about ``block`` tokens together; the fewer than ``length`` tokens at the end are
    left over. A document may run over several rows, and a row may hold several documents, which attend to each other
    (the paper does not say that they are kept apart).
    """
    held = array("i")
    for document in documents:
        held.extend(document)
        held.append(eos)
        if len(held) >= max(block, length):
            yield _rows(held, length)
            del held[: len(held) // length * length]
    if len(held) >= length:
        yield _rows(held, length)


def _rows(held: array[int], length: int) -> np.ndarray:
    """A copy of the whole rows."""
    import numpy as np

    whole = len(held) // length
    return np.array(held[: whole * length], dtype=np.int32).reshape(whole, length)
