"""Work kept part by part: nothing is done twice, and what cannot be read is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.cost import Cost
from dsm_repro.pipeline.preemption import Preempted, Watch
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.training.parts import in_parts


def context(root: Path, stop: Path | None = None) -> StageContext:
    for folder in (root / "out", root / "scratch"):
        folder.mkdir(parents=True, exist_ok=True)
    return StageContext(Config(), root / "out", root / "scratch", {}, 1, Cost(), None, Watch(stop))


def test_a_part_that_is_kept_is_not_done_again_and_its_seconds_are_carried_over(tmp_path: Path) -> None:
    asked: list[int] = []

    def work(number: int) -> dict[str, Any]:
        asked.append(number)
        if asked == [0, 1]:
            raise KeyboardInterrupt
        return {"square": number * number}

    with pytest.raises(KeyboardInterrupt):
        in_parts(context(tmp_path), "squares", 3, work, "squares")
    (kept,) = (tmp_path / "scratch" / "squares").iterdir()
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"seconds": 12}))
    parts, seconds = in_parts(context(tmp_path), "squares", 3, work, "squares")
    assert parts == [{"square": 0}, {"square": 1}, {"square": 4}] and asked == [0, 1, 1, 2]
    # of the first part alone: this run's own are counted by whoever runs the stage
    assert seconds == 12
    assert in_parts(context(tmp_path / "new"), "squares", 3, work, "squares") == (parts, 0)


def test_told_to_end_it_ends_between_parts(tmp_path: Path) -> None:
    stop = tmp_path / "stop"

    def work(number: int) -> dict[str, Any]:
        stop.touch()
        return {}

    with pytest.raises(Preempted):
        in_parts(context(tmp_path, stop), "p", 3, work, "parts")
    assert len(list((tmp_path / "scratch" / "p").iterdir())) == 1


@pytest.mark.parametrize("damaged", ["", "[]", '{"part": {}}'])
def test_a_damaged_part_is_named(tmp_path: Path, damaged: str) -> None:
    in_parts(context(tmp_path), "p", 2, lambda number: {}, "parts")
    (tmp_path / "scratch" / "p" / "00001.json").write_text(damaged)
    with pytest.raises(DataError, match=r"00001\.json: cannot be read .* Delete .*/p to do this work again"):
        in_parts(context(tmp_path), "p", 2, lambda number: {}, "parts")
