"""One run of ``rl=dpo``: models in, trained policy and record out, with budget, metrics and exact resume."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.resolve import has_stage
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
from dsm_repro.rl.rewards import build_reward
from dsm_repro.rl.samplers import build_answers, build_sampler, is_deterministic, open_sandbox
from dsm_repro.rl.snapshots import Snapshots, save_copy
from dsm_repro.training.arguments import one_device_per_process
from dsm_repro.training.callbacks import Checkpoints
from dsm_repro.training.models import (
    check_length,
    end_tokens,
    load_model,
    load_tokenizer,
    model_shape,
    resolve_device,
    save_model,
)
from dsm_repro.training.trainer import checkpoint_to_resume, prepare_torch, read_metrics

#: rewards of the record are means over this many first and last steps that sampled anything
REWARD_WINDOW = 10


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
    longest = max(len(ids) for ids in tokenizer(prompts)["input_ids"])
    check_length(model, longest + rl.max_completion_length, f"longest prompt ({longest}) + rl.max_completion_length")
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
        grader_id = grader.id
    save_model(model, tokenizer, ctx.out / "model", config.base.dtype)
    explored = {"questions": len(questions)} if has_stage(config, "difficulty") else {}
    return {**_record(ctx, grader_id), **explored}


def _record(ctx: StageContext, grader_id: str) -> dict[str, Any]:
    config, lines = ctx.config, read_metrics(ctx)
    sampled = [line for line in lines if line["completions"]]
    shares = [(line["ungradable"] / line["completions"], line["step"]) for line in sampled]
    alarming = [(share, step) for share, step in shares if share > config.reward.max_ungradable]
    alarm = None
    if alarming:
        worst, step = max(alarming)
        alarm = {
            "what": "ungradable answers",
            "limit": config.reward.max_ungradable,
            "steps": len(alarming),
            "worst_share": worst,
            "worst_step": step,
        }
    rewards = [line["reward_mean"] for line in sampled]
    first, last = rewards[:REWARD_WINDOW], rewards[-REWARD_WINDOW:]
    return {
        "method": "dpo",
        "steps": lines[-1]["step"],
        "flops": {**ctx.cost.flops, "total": ctx.cost.total_flops},
        "tokens_generated": ctx.cost.tokens["generate"],
        "tokens_trained": ctx.cost.tokens["train"],
        "stopped_by": config.rl.budget.unit,
        "deterministic": is_deterministic(config.rl),
        "budget": asdict(config.rl.budget),
        # of the starting model, which is what is sampled: it does not rise with training
        "reward": {"first": sum(first) / len(first), "last": sum(last) / len(last), "window": len(last)},
        "pairs": {
            "found": sum(line["pairs_found"] for line in lines),
            "trained": sum(line["pairs"] for line in lines),
            "questions": sum(line["questions"] for line in lines),
            "all_right": sum(line["questions_all_right"] for line in lines),
            "none_right": sum(line["questions_none_right"] for line in lines),
        },
        "grader": grader_id,
        "alarm": alarm,
    }
