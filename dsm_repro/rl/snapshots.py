"""The policy on its way: saved at equal shares of the budget, so that it can be evaluated along it.

``snapshots/<i>/`` holds the model after the first update at which i/(N+1) of ``rl.budget`` was spent, i = 1..N with
N = ``rl.snapshots``. The end of the stage is ``model/``, its start the parent's model. An update that passes several
shares leaves the last of them. ``snapshots.json`` says what had been spent, without wall-clock: the seconds of each
step stand in ``times.jsonl``.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pipeline.store import write_text
from dsm_repro.training.adapters import merged
from dsm_repro.training.models import save_model
from dsm_repro.training.snapshots import FOLDER, SNAPSHOTS_FILE, read

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Snapshots:
    """Takes the snapshots of one run.

    Args:
        save: writes the policy as it is to a folder, without changing it.
    """

    def __init__(self, ctx: StageContext, save: Callable[[Path], None]) -> None:
        self.ctx, self.save = ctx, save
        self.count = ctx.config.rl.snapshots
        self.taken: list[dict[str, Any]] = []

    def __call__(self, step: int, done: float) -> None:
        """After update ``step``, with ``done`` of the budget spent (in its unit): save the policy if one is due."""
        amount = self.ctx.config.rl.budget.amount
        passed = int(done * (self.count + 1) / amount)
        if done >= amount or passed <= (self.taken[-1]["index"] if self.taken else 0):
            return
        # a folder in the artifact is whole: it is written beside it and moved
        partial = self.ctx.scratch / "snapshot.partial"
        shutil.rmtree(partial, ignore_errors=True)
        self.save(partial)
        target = self.ctx.out / FOLDER / str(passed)
        target.parent.mkdir(exist_ok=True)
        partial.rename(target)
        cost = self.ctx.cost
        self.taken.append(
            {
                "index": passed,
                "share": done / amount,
                "step": step,
                "flops": cost.total_flops,
                "tokens": cost.tokens.get("generate", 0.0),
                "tokens_trained": cost.tokens.get("train", 0.0),
            }
        )
        self._write()

    def rewind(self, step: int) -> None:
        """Drop what a killed run took after ``step``, and what it did not finish.

        Raises:
            DataError: the list of snapshots cannot be read.
        """
        folder = self.ctx.out / FOLDER
        known = read(self.ctx.out)
        self.taken = [s for s in known if s["step"] <= step and (folder / str(s["index"])).is_dir()]
        kept = {str(snapshot["index"]) for snapshot in self.taken}
        for found in folder.glob("*"):
            if found.name not in kept:
                shutil.rmtree(found)
        if self.taken != known:
            self._write()

    def _write(self) -> None:
        # a list of none is still a file: the run was asked for snapshots
        write_text(self.ctx.out / SNAPSHOTS_FILE, json.dumps(self.taken, indent=1))


def save_copy(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, dtype: str, start: Path | None = None
) -> None:
    """Write the model as the stage's end does, in ``dtype``, and leave the one that is trained as it is.

    ``start`` is where it was loaded from; quantised weights are merged into those that lie there.
    """
    save_model(merged(copy.deepcopy(model), start, dtype), tokenizer, folder, dtype)
