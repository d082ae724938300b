"""Batched decoding of evaluations: rows that have ended leave the batch, and nothing that is written changes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from dsm_repro.evaluation.model import Decoding, TransformersLM
from dsm_repro.pipeline.cost import Cost
from dsm_repro.training import compaction

TEXTS = ("Find the", "gcd of 12", "print", "Answer: x", "1 + 2 =", "def f(x):", "Let", "3", "sum of", "What is")


def decoder(folder: Path, temperature: float) -> TransformersLM:
    from dsm_repro.training.models import load_model, load_tokenizer

    # float64, so that a smaller batch rounds no token over to another
    lm = load_model(folder, "float32", "cpu").double()
    return TransformersLM(lm, load_tokenizer(folder), Decoding(40, temperature, 0.95, 64, 0), Cost(), lambda done: None)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("repeats", [1, 3])
def test_rows_that_have_ended_leave_the_batch(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, temperature: float, repeats: int
) -> None:
    lm = decoder(model_folder, temperature)
    prompts = [lm.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(repeats)]
    noise = torch.rand(len(prompts), 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    drawn = noise if temperature else None
    # strings that end some rows early, at different places
    plain = lm._decode(prompts, drawn, [])
    stops = sorted({one.text[3 * i : 3 * i + 2] for i, one in enumerate(plain[::repeats])} - {""})
    passes: list[int] = []
    forward = lm.model.forward

    # generate asks forward's signature what to pass it
    @functools.wraps(forward)
    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(len(kwargs["input_ids"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(lm.model, "forward", counted)
    thinned = lm._decode(prompts, drawn, stops)
    rows, passes[:] = sum(passes), []
    monkeypatch.setattr(compaction, "COMPACT_BELOW", 0.0)
    whole = lm._decode(prompts, drawn, stops)
    unthinned = sum(passes)
    assert thinned == whole
    alone = [lm._decode([p], None if drawn is None else drawn[i : i + 1], stops)[0] for i, p in enumerate(prompts)]
    assert thinned == alone
    lengths = {one.tokens for one in thinned}
    assert len(lengths) > 2 and rows < 0.9 * unthinned


def test_a_row_that_ends_with_its_last_token_is_not_cut(model_folder: Path) -> None:
    lm = decoder(model_folder, 0.0)
    prompt = lm.tokenizer("Find the")["input_ids"]
    text = lm._decode([prompt], None, [])[0]
    assert text.truncated and text.tokens == 40
    bias = torch.zeros(lm.model.config.vocab_size, dtype=torch.float64)
    bias[lm.tokenizer.eos_token_id] = 1e6
    count = iter(range(10**6))
    forward = lm.model.forward

    @functools.wraps(forward)
    def ends_with_the_last(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        if next(count) == 39:
            output.logits = output.logits + bias
        return output

    lm.model.forward = ends_with_the_last
    ended = lm._decode([prompt], None, [])[0]
    assert ended.tokens == 40 and not ended.truncated and text.text.startswith(ended.text)
