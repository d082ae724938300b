"""The protocol guard: which evaluations may be set against each other.

Within a mode (words, programs, ...) only equal protocols are compared, and two protocols never share a column. Where
the *mode* is the factor, as in who chooses between words and a program, the two sides are asked differently by design.
They stand in columns of their own all the same, and may be compared where nothing else differs than what a mode
brings with it: the same questions, length, decoding, extraction, grader and, where both run programs, sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: what a mode brings with it: how it asks, what exemplars show, how the tool takes part
OF_THE_MODE = ("prompt", "prompt_text", "exemplars", "tool")


def apart(a: Mapping[str, Any], b: Mapping[str, Any], modes_differ: bool) -> list[str]:
    """The keys that keep two protocols from being compared, sorted.

    ``modes_differ``: they are those of two modes, and what a mode brings with it may differ. A key that one side does
    not record keeps them apart, and so does a protocol that is not recorded at all: unknown is not equal.
    """
    if not a or not b:
        return ["not recorded"]
    different = sorted(name for name in a.keys() | b.keys() if (name in a) != (name in b) or a.get(name) != b.get(name))
    if not modes_differ:
        return different
    different = [name for name in different if a.get(name) is not None or b.get(name) is not None]
    one_without = None in (a.get("sandbox"), b.get("sandbox"))
    return [name for name in different if name not in OF_THE_MODE and not (name == "sandbox" and one_without)]
