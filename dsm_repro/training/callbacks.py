"""What a trainer does between steps: metrics and cost, and checkpoints by the clock."""

from __future__ import annotations

import json
import math
import os
import shutil
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.preemption import Preempted
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.training.batching import StepCosts
from dsm_repro.training.together import any_of
from dsm_repro.training.trainer import RESUME_FILE


class Ledger(TrainerCallback):
    """One line of metrics per step, the stage's cost, and its progress."""

    def __init__(self, ctx: StageContext, costs: StepCosts, section: str) -> None:
        self.ctx = ctx
        self.costs = costs
        self.section = section
        #: steps whose cost is in ``ctx.cost``
        self.counted = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._count(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._count(state)

    def _count(self, state: TrainerState) -> None:
        if not state.is_world_process_zero:
            return
        done, step = self.counted, state.global_step
        self.ctx.cost.add_flops("train", self.costs.flops[step] - self.costs.flops[done])
        self.ctx.cost.add_tokens("train", self.costs.tokens[step] - self.costs.tokens[done])
        self.counted = step
        self.ctx.progress(step, state.max_steps, "steps")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        # else every checkpoint would carry the whole history
        state.log_history.clear()
        if logs is None or "loss" not in logs or not state.is_world_process_zero:
            return
        step = state.global_step
        if not math.isfinite(logs["loss"]) or not math.isfinite(logs["grad_norm"]):
            raise ConfigError(
                f"{self.section}: the loss is {logs['loss']} and the gradient norm {logs['grad_norm']} at step {step}: "
                f"training diverged at learning rate {logs['learning_rate']:g}. Lower the learning rate."
            )
        self.ctx.log(
            step,
            loss=logs["loss"],
            grad_norm=logs["grad_norm"],
            learning_rate=logs["learning_rate"],
            tokens=self.costs.tokens[step],
            flops=self.costs.flops[step],
        )


class Checkpoints(TrainerCallback):
    """A checkpoint every ``execution.checkpoint_seconds``; ``resume.json`` only ever names a complete one.

    And one when the machine is to be taken away, with which training ends: see :meth:`raise_if_preempted`. Of several
    processes, any may be told so; they save and end together.
    """

    def __init__(self, ctx: StageContext) -> None:
        self.ctx = ctx
        self.started = self.last = ctx.now()
        self.spent_before = 0.0
        self.ending = False
        #: the step of the checkpoint with which training ended before its time
        self.ended_at: int | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # by the runs that were killed
        self.spent_before = self.ctx.cost.seconds
        self.ctx.preemption.patient = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        late = self.ctx.now() - self.last >= self.ctx.config.execution.checkpoint_seconds
        # clocks differ between processes, and saving is a collective operation
        due, self.ending = any_of(args, (late, self.ctx.preemption.requested))
        if (due or self.ending) and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = control.should_training_stop or self.ending

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if args.world_size > 1:
            import torch.distributed

            torch.distributed.barrier()
        if state.is_world_process_zero:
            name = f"checkpoint-{state.global_step}"
            pointer = {
                "checkpoint": name,
                "seconds": self.spent_before + self.ctx.now() - self.started,
                "sharding": self.ctx.config.execution.sharding,
            }
            temporary = self.ctx.scratch / f"{RESUME_FILE}.tmp"
            with temporary.open("w") as file:
                json.dump(pointer, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.ctx.scratch / RESUME_FILE)
            for old in self.ctx.scratch.glob("checkpoint-*"):
                if old.name != name:
                    shutil.rmtree(old)
        self.last = self.ctx.now()
        self.ended_at = state.global_step if self.ending else None

    def raise_if_preempted(self) -> None:
        """After training. Raises Preempted where it ended before its time."""
        if self.ended_at is not None:
            raise Preempted(
                f"preempted: a checkpoint was saved after step {self.ended_at}. "
                "The same command again goes on from there."
            )
