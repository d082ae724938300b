"""One run of the stage ``rl``: models in, trained policy and record out, with budget, metrics and exact resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    PrinterCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from dsm_repro.pipeline.stage import StageContext, StageEnd
from dsm_repro.reasoning import formats
from dsm_repro.reasoning.grading import Grader
from dsm_repro.reasoning.tokenizer_check import check_tokenizer
from dsm_repro.rl import estimators
from dsm_repro.rl.arguments import grpo_config
from dsm_repro.rl.budget import Ledger
from dsm_repro.rl.critic import Critic
from dsm_repro.rl.distributed import Processes
from dsm_repro.rl.exploration import Task
from dsm_repro.rl.iteration import build_rounds
from dsm_repro.rl.questions import load_questions
from dsm_repro.rl.record import run_record
from dsm_repro.rl.rewards import build_reward
from dsm_repro.rl.rollouts import check_room
from dsm_repro.rl.samplers import build_answers, build_sampler, open_sandbox
from dsm_repro.rl.snapshots import Snapshots, save_copy
from dsm_repro.rl.trainer import PolicyGradientTrainer
from dsm_repro.training.adapters import (
    add_adapters,
    held_dtype,
    lora_config,
    merged,
    quantisation,
    tuning_record,
    uses_adapters,
)
from dsm_repro.training.arguments import one_device_per_process
from dsm_repro.training.callbacks import Checkpoints
from dsm_repro.training.models import load_model, load_tokenizer, resolve_device, save_model
from dsm_repro.training.moments import are_cut
from dsm_repro.training.trainer import checkpoint_to_resume, prepare_torch


class ExplorationCheckpoints(Checkpoints):
    """Checkpoints by the clock, but only where no rollouts are waiting for another update."""

    def __init__(self, ctx: StageContext, updates_per_exploration: int) -> None:
        super().__init__(ctx)
        self.updates_per_exploration = updates_per_exploration

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self.updates_per_exploration == 0:
            super().on_step_end(args, state, control, **kwargs)


def train(ctx: StageContext, start: Path) -> dict[str, Any]:
    """Train the model in ``start`` by policy gradients, write it to ``ctx.out/model`` and return the record.

    Of several processes, only the first saves the model and returns; they share ``ctx.scratch``.

    Raises:
        ConfigError, DataError: settings, questions or models that cannot work, before any step.
        Preempted: the process is to end; a checkpoint was saved.
        StageEnd: in every process but the first.
    """
    config, rl = ctx.config, ctx.config.rl
    prepare_torch(ctx, config.seeds.rl)
    estimator = estimators.build(rl)
    questions = load_questions(ctx)
    prompts = [formats.prompt(question.question, rl.mode, config.prompts) for question in questions]
    device = resolve_device(config.execution)
    # before any model: this is what gives each process its own GPU
    args = grpo_config(rl, config.base.dtype, device, config.seeds.rl, ctx.scratch, config.tracker)
    one_device_per_process(args)
    processes = Processes(args.process_index, args.world_size, args.device)
    processes.check(rl.questions_per_step)
    # trained in float32, or frozen beneath adapters; base.dtype is that of the products and of what is saved
    held, tuning = held_dtype(config), config.tuning
    model = load_model(start, held, device, quantisation=quantisation(tuning))
    tokenizer = load_tokenizer(start)
    check_tokenizer(tokenizer, config.prompts, rl.mode, f"base.role={config.base.role}")
    check_room(model, tokenizer(prompts)["input_ids"], rl.max_completion_length)
    critic = None
    if estimator.needs_critic:
        backbone = load_model(start, held, device, quantisation=quantisation(tuning)).base_model
        add_adapters(backbone, tuning)
        critic = Critic(backbone)
    # with adapters, the reference is the policy without them
    apart = (estimator.needs_reference or estimator.offline) and not uses_adapters(tuning)
    reference = load_model(start, held, device).requires_grad_(False) if apart else None

    def save(folder: Path) -> None:
        save_copy(trainer.model, tokenizer, folder, config.base.dtype, start)

    snapshots = Snapshots(ctx, save)
    ledger = Ledger(ctx, snapshots if rl.snapshots else None, processes.count)
    with Grader(config.grader) as grader, open_sandbox(ctx) as sandbox:
        reward = build_reward(ctx, grader)
        answers = build_answers(ctx, reward, tokenizer, sandbox)
        sampler = build_sampler(ctx, tokenizer, sandbox)
        task = Task(questions, prompts, answers, sampler, config.execution.sampling_rows)
        trainer = PolicyGradientTrainer(
            model, tokenizer, args, rl, task, estimator, critic, reference, config.execution.micro_batch, ledger,
            ledger.save, build_rounds(ctx, estimator, reward, ledger), lora_config(tuning), are_cut(config.execution),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        checkpoints = ExplorationCheckpoints(ctx, rl.updates_per_exploration)
        trainer.add_callback(checkpoints)
        checkpoint = processes.first(lambda: checkpoint_to_resume(ctx))
        if checkpoint is not None:
            trainer.load_extra(checkpoint)
        processes.first(lambda: ledger.begin(checkpoint))
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        checkpoints.raise_if_preempted()
        grader_id, backend = grader.id, sandbox.backend if sandbox is not None else None
    told = tuning_record(tuning, trainer.model)
    if processes.rank > 0:
        raise StageEnd
    save_model(merged(trainer.model, start, config.base.dtype), tokenizer, ctx.out / "model", config.base.dtype)
    return {**run_record(ctx, estimator.name, questions, grader_id, backend), **told}
