"""The live view's columns."""

from __future__ import annotations

from dsm_repro.pipeline.liveview import in_order


def test_a_stage_that_some_arms_leave_out_stands_before_what_follows_it() -> None:
    short = {"corpus": "1", "sft": "2", "evaluate": "3"}
    long = {"corpus": "1", "sft": "2", "rl": "4", "evaluate": "5"}
    assert in_order([short, long]) == in_order([long, short]) == ["corpus", "sft", "rl", "evaluate"]
