"""Scoring with one fastText model: ours beside datatrove's filter, on the same documents in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsm_repro.corpus.classifier import POSITIVE, line, load, score_lines


@dataclass(frozen=True)
class Way:
    """``score`` gives the positive label's probability of every document; ``beside`` is our way to the same input."""

    name: str
    score: Callable[[Sequence[str]], list[float]]
    #: "raw": texts as extracted; "lines": as the classifier reads them
    reads: str
    beside: str = ""


def ways(model_path: Path) -> dict[str, Way]:
    """The ways of scoring by a short name."""
    model = load(model_path)
    theirs = _datatrove_filter(model_path)
    return {
        "ours": Way("ours: tokens, then scores", lambda texts: list(score_lines(model, map(line, texts))), "raw"),
        "same": Way(
            "datatrove: our tokens, then its filter", lambda texts: _run(theirs, map(line, texts)), "raw", "ours"
        ),
        "raw": Way("datatrove: its filter on raw text", lambda texts: _run(theirs, texts), "raw", "ours"),
        "our lines": Way("ours: scores of lines of tokens", lambda texts: list(score_lines(model, texts)), "lines"),
        "lines": Way(
            "datatrove: its filter on lines of tokens", lambda texts: _run(theirs, texts), "lines", "our lines"
        ),
    }


def seconds(way: Way, texts: Sequence[str]) -> tuple[float, list[float]]:
    """Processor seconds and scores of one pass."""
    start = time.process_time()
    found = way.score(texts)
    return time.process_time() - start, found


def _datatrove_filter(model_path: Path) -> Any:
    """Its ``FastTextClassifierFilter``, keeping everything and noting the scores.

    It refuses to be made unless a distribution named ``fasttext-numpy2-wheel`` is installed, which would put
    a second ``fasttext`` over the one that trains from initialised memory; both offer the same ``predict``, so
    only that check is left out. The model is put in place as its property does after a download, which wants
    ``fasteners`` besides. A threshold of -1 keeps every document; without any label it raises TypeError.
    """
    from datatrove.pipeline.filters import FastTextClassifierFilter

    class Filter(FastTextClassifierFilter):  # type: ignore[misc]
        def __new__(cls, *args: object, **kwargs: object) -> Any:
            return object.__new__(cls)

    label = POSITIVE.removeprefix("__label__")
    made = Filter(model_url=str(model_path), keep_labels=[(label, -1.0)], newline_replacement=" ")
    made._model = load(model_path)
    return made


def _run(step: Any, texts: Iterable[str]) -> list[float]:
    from datatrove.data import Document

    documents = (Document(text=text, id=str(number)) for number, text in enumerate(texts))
    return [float(document.metadata[POSITIVE]) for document in step.run(documents)]
