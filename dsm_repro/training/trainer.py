"""One training run on ``transformers.Trainer``: every optimisation field said, exact resume, cost and metrics.

Light at the top; the modules with the library's classes (``arguments``, ``callbacks``, ``ordered``) are
imported when a run starts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.pipeline.stage import StageContext, StageEnd
from dsm_repro.training.batching import StepCosts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer

#: written after a checkpoint is complete; names the checkpoint to go on from
RESUME_FILE = "resume.json"
#: the reported loss is the mean over this many last steps
LOSS_WINDOW = 10


@dataclass(frozen=True)
class Optimisation:
    """AdamW with gradient clipping, fully specified.

    The rate at step ``s`` (counted from 0) is ``learning_rate * factor(s)``; the batch is in rows, the
    loss the mean over all its target tokens. ``section`` is the part of the config that an error names.
    """

    section: str
    steps: int
    batch_size: int
    learning_rate: float
    factor: Callable[[int], float]
    adam_beta1: float
    adam_beta2: float
    weight_decay: float
    max_grad_norm: float
    seed: int
    adam_epsilon: float = 1e-8


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, and ask torch for deterministic kernels.

    On a GPU some kernels have no deterministic variant (the backward pass of memory-efficient
    attention): torch warns and goes on. On a CPU all that is used here are deterministic.
    """
    # read by cuBLAS when its first handle is made
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch
    from transformers import set_seed

    set_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # else every torch.empty is filled with NaN first
    torch.utils.deterministic.fill_uninitialized_memory = False


def prepare_torch(ctx: StageContext, seed: int) -> None:
    """Threads as the worker allots them, then the seed: what every stage does before its first tensor.

    Of several processes on a machine with GPUs, each takes its own. Raises ConfigError where there are too few.
    """
    import torch

    torch.set_num_threads(ctx.threads)
    execution = ctx.config.execution
    if "LOCAL_RANK" in os.environ and torch.cuda.is_available() and execution.device != "cpu":
        place, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= devices:
            raise ConfigError(
                f"execution.processes={execution.processes}: torch sees {devices} GPUs on this machine, and each "
                f"process needs one. Set execution.processes={devices}."
            )
        torch.cuda.set_device(place)
    seed_everything(seed)


def steps_and_rows(tokens: int, batch_tokens: int, length: int, key: str) -> tuple[int, int]:
    """Optimiser steps, and rows of ``length`` tokens in a batch: as many whole ones as the budgets hold.

    A batch of 10M tokens is 2,441 rows of 4,096.

    Raises:
        ConfigError: a batch without a row, or a budget without a batch.
    """
    if length < 2 or batch_tokens < length:
        raise ConfigError(
            f"{key}.batch_tokens={batch_tokens}: less than one row of {length} tokens (and a row needs 2 or more). "
            f"Set it to {max(length, 2)} or more."
        )
    rows = batch_tokens // length
    if tokens < rows * length:
        raise ConfigError(f"{key}.tokens={tokens}: less than one batch ({rows * length} tokens). Raise it.")
    return tokens // (rows * length), rows


def checkpoint_to_resume(ctx: StageContext) -> Path | None:
    """The last complete checkpoint in ``ctx.scratch``, or None.

    Also drops the metric lines after it, and puts the seconds before it back into ``ctx.cost``.

    Raises:
        DataError: ``resume.json`` names a checkpoint that is not there.
        ConfigError: weights were cut up in another way when it was written.
    """
    pointer = ctx.scratch / RESUME_FILE
    if not pointer.exists():
        ctx.rewind_metrics(0)
        return None
    try:
        pointed = json.loads(pointer.read_text())
        checkpoint, seconds = ctx.scratch / pointed["checkpoint"], float(pointed["seconds"])
        step = int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{pointer}: its checkpoint cannot be read ({error}). Delete {ctx.scratch} to start over."
        ) from error
    sharding, asked = pointed.get("sharding", "none"), ctx.config.execution.sharding
    if sharding != asked:
        raise ConfigError(
            f"execution.sharding={asked}: {checkpoint} was written with execution.sharding={sharding}, and only the "
            f"number of processes may change. Set it to {sharding} for this stage, or delete {ctx.scratch} to start "
            "over."
        )
    if metric_steps(ctx) < step:
        # the metrics of the steps before the checkpoint are gone, and a record without them would be wrong
        ctx.rewind_metrics(0)
        return None
    ctx.rewind_metrics(step)
    ctx.cost.seconds += seconds
    return checkpoint


def metric_steps(ctx: StageContext) -> int:
    """The last step in ``metrics.jsonl``, 0 if there is none."""
    lines = read_metrics(ctx)
    return int(lines[-1]["step"]) if lines else 0


def read_metrics(ctx: StageContext) -> list[dict[str, Any]]:
    """The complete lines of ``metrics.jsonl``."""
    path = ctx.out / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def final_loss(ctx: StageContext) -> float:
    """Mean loss over the last ``LOSS_WINDOW`` steps."""
    losses = [float(line["loss"]) for line in read_metrics(ctx)[-LOSS_WINDOW:]]
    return math.fsum(losses) / len(losses)


def run_trainer(ctx: StageContext, trainer: Trainer, costs: StepCosts, opt: Optimisation) -> None:
    """Train to the last step, from the last complete checkpoint if a killed run left one.

    Of several processes, only the first comes back from here: what follows is to save the model.

    Raises:
        ConfigError: the loss is no longer finite.
        Preempted: the process is to end; a checkpoint was saved.
        StageEnd: in every process but the first.
    """
    from transformers import PrinterCallback

    from dsm_repro.training.callbacks import Checkpoints, Ledger
    from dsm_repro.training.moments import CutMoments, are_cut
    from dsm_repro.training.sharding import check_sharded, make_whole
    from dsm_repro.training.together import in_first

    checkpoint = in_first(ctx.config.execution, lambda: checkpoint_to_resume(ctx))
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Ledger(ctx, costs, opt.section))
    checkpoints = Checkpoints(ctx)
    trainer.add_callback(checkpoints)
    model = trainer.model
    if isinstance(trainer, CutMoments):
        trainer.cut_moments = are_cut(ctx.config.execution)
    check_sharded(trainer, ctx.config.execution)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    checkpoints.raise_if_preempted()
    make_whole(trainer, model)
    if trainer.args.process_index > 0:
        raise StageEnd


def train_language_model(
    ctx: StageContext,
    model: PreTrainedModel,
    rows: Any,
    order: Sequence[int],
    opt: Optimisation,
    dtype: str,
) -> None:
    """Next-token training on fixed-length rows of token ids (array, rows × length), in the given order.

    ``order`` has ``opt.steps * opt.batch_size`` indices. Every position but the first is a target. The
    model is trained in place; one line of metrics per step.
    """
    from dsm_repro.training.arguments import trainer_arguments
    from dsm_repro.training.models import model_shape
    from dsm_repro.training.ordered import LanguageModelTrainer, RowDataset, stack_rows

    length = int(rows.shape[1])
    costs = StepCosts.of(model_shape(model), order, [(length,)] * len(rows), opt.batch_size)
    dataset = RowDataset(rows)
    trainer = LanguageModelTrainer(
        model=model,
        args=trainer_arguments(ctx, model, opt, dtype, length),
        train_dataset=dataset,
        data_collator=stack_rows,
    )
    trainer.set_order(order, opt.batch_size, dataset.fill, opt.factor)
    run_trainer(ctx, trainer, costs, opt)
