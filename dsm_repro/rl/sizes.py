"""How much the stages of reinforcement learning compute at once: light, since a plan asks for it too."""

from __future__ import annotations

#: logits of this many tokens are held at once; above it the head is recomputed in the backward pass
HEAD_TOKENS = 8_192
#: on a CPU, passes of like-sized short rows waste less on padding than one pass over the batch
CPU_MICRO_BATCH = 64
#: parameters of a model that is decoded from a copy of its weights (``llama.py``); above it the products outweigh
#: everything else, and a second copy of the weights is not small
LARGEST_LAID_OUT = 100_000_000


def rows_at_once(micro_batch: int, device: str) -> int:
    """Completions in one forward pass at most."""
    return min(micro_batch, CPU_MICRO_BATCH) if device == "cpu" else micro_batch
