"""The steps of a chain of thought, as a process reward model judges them, and the tokens at which they end.

The paper does not say how it cuts. Here a step of a ``release`` solution is a line, as in Math-Shepherd
(arXiv:2312.08935); the miniature writes its solutions on one line, ``33-9=24. 24/3=8. \\boxed{8}``, and
its steps are sentences. Not covered: formulas over several lines, whose every line counts as a step.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: what ends a step that is not the last one, by ``prompts``; a step needs something that is not white space
_ENDS = {
    # a point inside a number is followed by a digit, not by white space
    "miniature": re.compile(r"\S[^\n]*?(?:[.!?](?=\s)|(?=\n))"),
    "release": re.compile(r"\S[^\n]*(?=\n)"),
    "smollm2": re.compile(r"\S[^\n]*(?=\n)"),
}


def split(text: str, template: str) -> list[int]:
    """Where each step of ``text`` ends: character offsets, exclusive, ascending; the last one is ``len(text)``.

    White space after the last step belongs to it, so a text that is all white space is one step.

    Raises:
        ConfigError: an unknown template.
    """
    if template not in _ENDS:
        raise ConfigError(f"prompts={template}: steps are defined for {', '.join(_ENDS)}. Use one of these.")
    inner = [match.end() for match in _ENDS[template].finditer(text)]
    while inner and not text[inner[-1] :].strip():
        inner.pop()
    return [*inner, len(text)]


def step_ends(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, template: str) -> list[int]:
    """The position (0-based, ascending) of each step's last token in a completion, given as token ids.

    A step's last token is the first one with which the decoded completion holds the whole step. Steps that
    end within one token are one step. The last step ends with the completion, its end-of-text token
    included, so that this token is rewarded too; a completion cut by the length limit ends in the middle
    of its last step.

    Raises:
        ValueError: a completion without tokens.
    """
    if not ids:
        raise ValueError("a completion without tokens has no steps")
    text = _decode(tokenizer, ids)
    ends: list[int] = []
    for offset in split(text, template)[:-1]:
        wanted = text[:offset]

        def holds(end: int, wanted: str = wanted) -> bool:
            # half a character decodes to a replacement character, so lengths alone would not do
            return _decode(tokenizer, ids[: end + 1]).startswith(wanted)

        end = bisect_left(range(len(ids)), True, key=holds)
        if end < len(ids) - 1 and end not in ends:
            ends.append(end)
    return [*ends, len(ids) - 1]


def _decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
