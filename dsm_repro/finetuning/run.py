"""Supervised fine-tuning on TRL's ``SFTTrainer``: batches of whole examples, loss on the targets only (§3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import Config
from dsm_repro.config.training_schema import MODES_OF_FORMAT
from dsm_repro.finetuning.data import IGNORED, Example, Tokens, examples, fitting, pack, tokenize
from dsm_repro.finetuning.programs import program_outputs
from dsm_repro.miniature.problems import Problem
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.problemset import load_problems
from dsm_repro.reasoning.tokenizer_check import check_tokenizer
from dsm_repro.training.adapters import (
    held_dtype,
    learn_in_float32,
    lora_config,
    merged,
    policy_of,
    quantisation,
    tuning_record,
)
from dsm_repro.training.arguments import common_fields, one_device_per_process
from dsm_repro.training.batching import StepCosts, epoch_order, sorted_within_batches
from dsm_repro.training.models import check_length, load_model, load_tokenizer, model_shape, resolve_device, save_model
from dsm_repro.training.ordered import Ordered
from dsm_repro.training.together import in_first
from dsm_repro.training.trainer import Optimisation, final_loss, prepare_torch, run_trainer

#: the paper names no optimiser; these are Adam's usual values
ADAM_BETAS = (0.9, 0.999)


class FineTuner(Ordered, SFTTrainer):
    """TRL's trainer with our order of rows; the loss is the mean over all target tokens of the whole batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        learn_in_float32(self.model)


@dataclass(frozen=True)
class Rows:
    """The rows of a run and the order in which it takes them: a row is one example, or several packed ones."""

    rows: list[tuple[int, ...]]
    order: list[int]

    @classmethod
    def of(cls, lengths: Sequence[int], config: Config, total: int) -> Rows:
        """``total`` rows out of examples of these lengths: whole epochs, each in its own order."""
        seed = f"sft/{config.seeds.sft}"
        if not config.sft.packing:
            order = epoch_order(len(lengths), total, seed)
            singles: list[tuple[int, ...]] = [(i,) for i in range(len(lengths))]
            return cls(singles, sorted_within_batches(order, lengths, config.sft.batch_size))
        packed: list[tuple[int, ...]] = []
        epoch = 0
        while len(packed) < total:
            packed += pack(epoch_order(len(lengths), len(lengths), f"{seed}/{epoch}"), lengths, config.sft.max_length)
            epoch += 1
        return cls(packed[:total], list(range(total)))


@dataclass(frozen=True)
class Collator:
    """Rows as tensors (batch × longest row), padded on the right.

    A packed row has positions that start at 0 with each example and no attention mask: the model then
    lets each example attend to itself only. The row after the last one is one token of which nothing is learned.
    """

    tokens: Sequence[Tokens]
    rows: Sequence[tuple[int, ...]]
    pad: int
    packed: bool

    def __call__(self, batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        rows = [self._row(item["row"]) for item in batch]
        ids = [[token for example in row for token in example.ids] for row in rows]
        labels = [[label for example in row for label in example.labels] for row in rows]
        made = {"input_ids": _padded(ids, self.pad), "labels": _padded(labels, IGNORED)}
        if self.packed:
            positions = [[i for example in row for i in range(len(example.ids))] for row in rows]
            return {**made, "position_ids": _padded(positions, 0)}
        return {**made, "attention_mask": _padded([[1] * len(row) for row in ids], 0)}

    def _row(self, number: int) -> list[Tokens]:
        if number == len(self.rows):
            return [Tokens((self.pad,), 1)]
        return [self.tokens[i] for i in self.rows[number]]


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def constant(warmup_steps: int) -> Callable[[int], float]:
    """Constant rate (§3.2) after a linear warm-up; factor at step ``s``, counted from 0."""
    return lambda step: min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def fine_tune(ctx: StageContext, parent: str) -> None:
    """The stage: load, build the examples, train, save, record. Raises ConfigError, DataError."""
    config, c = ctx.config, ctx.config.sft
    prepare_torch(ctx, config.seeds.sft)
    start = ctx.parents[parent] / "model"
    model = load_model(
        start,
        held_dtype(config),
        resolve_device(config.execution),
        quantisation=quantisation(config.tuning),
    )
    tokenizer = load_tokenizer(start)
    for mode in MODES_OF_FORMAT[c.format]:
        check_tokenizer(tokenizer, config.prompts, mode, f"base.role={config.base.role}")
    check_length(model, c.max_length, "sft.max_length")
    problems = training_problems(config)
    # how a program ends may depend on the moment: of several processes one runs them all
    outputs = in_first(config.execution, lambda: program_outputs(ctx, problems)) if c.format == "tool" else None
    if outputs is not None:
        problems = [problem for problem in problems if problem.program in outputs.said]
    kept, tokens, too_long = training_examples(config, problems, tokenizer, outputs.said if outputs else None)
    opt = Optimisation(
        section="sft",
        steps=c.steps,
        batch_size=c.batch_size,
        learning_rate=c.learning_rate,
        factor=constant(c.warmup_steps),
        adam_beta1=ADAM_BETAS[0],
        adam_beta2=ADAM_BETAS[1],
        weight_decay=c.weight_decay,
        max_grad_norm=c.max_grad_norm,
        seed=config.seeds.sft,
    )
    rows = Rows.of([len(example.ids) for example in tokens], config, c.steps * c.batch_size)
    trained, costs = train_on_examples(ctx, model, tokenizer, tokens, rows, opt)
    tuning = tuning_record(config.tuning, trained)
    save_model(merged(trained, start, config.base.dtype), tokenizer, ctx.out / "model", config.base.dtype)
    taken = [i for place in rows.order for i in rows.rows[place]]
    ctx.record(
        {
            "format": c.format,
            "examples": len(kept),
            "examples_by_mode": dict(Counter(example.mode for example in kept)),
            "terse": sum(example.terse for example in kept),
            "too_long": too_long,
            **({} if outputs is None else {"failed_programs": outputs.failed, "sandbox": outputs.backend}),
            "epochs": len(taken) / len(kept),
            "steps": c.steps,
            "tokens": costs.tokens[-1],
            "target_tokens": sum(tokens[i].learnt for i in taken),
            "loss": final_loss(ctx),
            **tuning,
        }
    )


def training_problems(config: Config) -> list[Problem]:
    """The problems of ``sft.examples``. Raises ConfigError where there are fewer."""
    c, source = config.sft, config.problems
    problems = load_problems(source, "train", c.examples, source.seed)
    if len(problems) < c.examples:
        raise ConfigError(
            f"sft.examples={c.examples}: problems.train_path={source.train_path} has {len(problems)}. "
            f"Set sft.examples={len(problems)}."
        )
    return problems


def training_examples(
    config: Config,
    problems: Sequence[Problem],
    tokenizer: PreTrainedTokenizerBase,
    outputs: Mapping[str, str] | None = None,
) -> tuple[list[Example], list[Tokens], int]:
    """The examples that fit, as text and as tokens, and how many do not fit.

    Args:
        outputs: what the tool says of each program, where the format calls it.

    Raises:
        ConfigError: none fits ``sft.max_length``.
        DataError: a problem without the solution that the format needs.
    """
    c, source = config.sft, config.problems
    made = examples(problems, c.format, config.prompts, source.terse_share, source.seed, outputs)
    tokens = tokenize(made, tokenizer)
    kept = fitting(tokens, c.max_length)
    if not kept:
        shortest = min(len(example.ids) for example in tokens)
        raise ConfigError(
            f"sft.max_length={c.max_length}: no example fits, the shortest has {shortest} tokens. Raise it."
        )
    return [made[i] for i in kept], [tokens[i] for i in kept], len(made) - len(kept)


def train_on_examples(
    ctx: StageContext,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: Sequence[Tokens],
    rows: Rows,
    opt: Optimisation,
) -> tuple[Any, StepCosts]:
    """Train in place; returns the model, in peft's wrapper where it was given adapters, and what each step cost.

    Costs are cumulative tokens and FLOPs; padding is not counted.
    """
    segments = [[len(tokens[i].ids) for i in row] for row in rows.rows]
    args = TrlConfig(
        **common_fields(ctx, model, opt, ctx.config.base.dtype, max(map(sum, segments))),
        # rows come tokenised, labelled, packed and ordered: the trainer prepares nothing
        dataset_kwargs={"skip_prepare_dataset": True},
        shuffle_dataset=False,
        max_length=None,
        packing=False,
        eval_packing=False,
        padding_free=False,
        pad_to_multiple_of=None,
        completion_only_loss=False,
        assistant_only_loss=False,
        loss_type="nll",
        activation_offloading=False,
    )
    one_device_per_process(args)
    trainer = FineTuner(
        model=model,
        args=args,
        train_dataset=Dataset.from_dict({"row": list(range(len(rows.rows) + 1))}),
        data_collator=Collator(tokens, rows.rows, int(tokenizer.pad_token_id), ctx.config.sft.packing),  # type: ignore[arg-type]
        processing_class=tokenizer,
        peft_config=lora_config(ctx.config.tuning),
    )
    trainer.set_order(rows.order, opt.batch_size, len(rows.rows), opt.factor)
    costs = StepCosts.of(model_shape(policy_of(trainer.model)), rows.order, segments, opt.batch_size)
    run_trainer(ctx, trainer, costs, opt)
    return trainer.model, costs
