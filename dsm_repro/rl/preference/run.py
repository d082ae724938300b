"""One run of ``rl=dpo``: models in, trained policy and record out, with budget, metrics and exact resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.rl.budget import Ledger
from dsm_repro.rl.estimators import dpo
from dsm_repro.rl.exploration import Explorer, Task
from dsm_repro.rl.preference.arguments import dpo_config
from dsm_repro.rl.preference.pairs import PairStream
from dsm_repro.rl.preference.trainer import PreferenceTrainer
from dsm_repro.rl.questions import load_questions
from dsm_repro.rl.record import run_record
from dsm_repro.rl.rewards import build_reward
from dsm_repro.rl.rollouts import check_room
from dsm_repro.rl.samplers import build_answers, build_sampler, open_sandbox
from dsm_repro.rl.snapshots import Snapshots, save_copy
from dsm_repro.training.arguments import one_device_per_process
from dsm_repro.training.callbacks import Checkpoints
from dsm_repro.training.models import (
    end_tokens,
    load_model,
    load_tokenizer,
    model_shape,
    resolve_device,
    save_model,
)
from dsm_repro.training.trainer import checkpoint_to_resume, prepare_torch, read_metrics


def train(ctx: StageContext, start: Path) -> dict[str, Any]:
    """Train the model in ``start`` on pairs of its own completions, write it to ``ctx.out/model``, return the record.

    Raises:
        ConfigError, DataError: settings, questions or models that cannot work, before any update.
    """
    config, rl = ctx.config, ctx.config.rl
    prepare_torch(ctx, config.seeds.rl)
    method = dpo.build(rl)
    questions = load_questions(ctx)
    prompts = [formats.prompt(question.question, rl.mode, config.prompts) for question in questions]
    device = resolve_device(config.execution)
    # weights are trained in float32; base.dtype is that of the products and of what is saved
    model, tokenizer = load_model(start, "float32", device), load_tokenizer(start)
    reference = load_model(start, "float32", device).requires_grad_(False)
    check_room(model, tokenizer(prompts)["input_ids"], rl.max_completion_length)
    args = dpo_config(rl, method, config.base.dtype, device, config.seeds.rl, ctx.scratch, config.tracker)
    one_device_per_process(args)
    if args.world_size > 1:
        raise ConfigError(
            f"started with {args.world_size} processes: rl=dpo runs in one. Start it with `dsm run`, without a "
            "launcher of several processes."
        )
    snapshots = Snapshots(ctx, lambda folder: save_copy(model, tokenizer, folder, config.base.dtype, start))
    ledger = Ledger(ctx, snapshots if rl.snapshots else None)
    with Grader(config.grader) as grader, open_sandbox(ctx) as sandbox:
        answers = build_answers(ctx, build_reward(ctx, grader), tokenizer, sandbox)
        sampler = build_sampler(ctx, tokenizer, sandbox)
        task = Task(questions, prompts, answers, sampler, config.execution.sampling_rows)
        explorer = Explorer(
            rl, task, method, tokenizer, end_tokens(model, tokenizer), model_shape(model), config.seeds.rl
        )
        pairs = PairStream(
            lambda number: explorer(reference, number), len(questions) // rl.questions_per_step, rl.group_size,
            method.pairs_per_question, method.epochs, config.seeds.rl, ctx.scratch,
        )  # fmt: skip
        trainer = PreferenceTrainer(
            model, reference, tokenizer, args, pairs, method.pairs_per_step, config.execution.micro_batch, ledger,
            ledger.save,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        checkpoints = Checkpoints(ctx)
        trainer.add_callback(checkpoints)
        checkpoint = checkpoint_to_resume(ctx)
        if checkpoint is not None:
            pairs.load(checkpoint)
        ledger.begin(checkpoint)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        checkpoints.raise_if_preempted()
        grader_id, backend = grader.id, sandbox.backend if sandbox is not None else None
    save_model(model, tokenizer, ctx.out / "model", config.base.dtype)
    # its rewards are of the starting model, which is what is sampled: they do not rise with training
    return {**run_record(ctx, "dpo", questions, grader_id, backend), "pairs": _pairs(ctx)}


def _pairs(ctx: StageContext) -> dict[str, Any]:
    lines = read_metrics(ctx)
    counted = {"found": "pairs_found", "trained": "pairs", "questions": "questions", "all_right": "questions_all_right",
               "none_right": "questions_none_right"}  # fmt: skip
    return {name: sum(line[key] for line in lines) for name, key in counted.items()}
