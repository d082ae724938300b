"""Training a reward model on labelled solutions: binary cross-entropy, the mean over all labels of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, Trainer

from dsm_repro.pipeline.stage import StageContext
from dsm_repro.rl.reward_model.examples import Example
from dsm_repro.rl.reward_model.model import IGNORED, label_loss
from dsm_repro.training.arguments import trainer_arguments
from dsm_repro.training.batching import StepCosts, epoch_order, sorted_within_batches
from dsm_repro.training.models import model_shape
from dsm_repro.training.ordered import Ordered
from dsm_repro.training.trainer import Optimisation, run_trainer


def collate(examples: Sequence[Example], pad_id: int) -> dict[str, Tensor]:
    """Whole solutions (B, L) padded on the right, with a label at each judged position and ``IGNORED`` elsewhere."""
    width = max(example.length for example in examples)
    ids = torch.full((len(examples), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), width), IGNORED)
    for row, example in enumerate(examples):
        ids[row, : example.length] = torch.tensor([*example.prompt, *example.completion])
        mask[row, : example.length] = 1
        places = [len(example.prompt) + end for end in example.ends]
        labels[row, places] = torch.tensor([float(label) for label in example.labels])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@dataclass(frozen=True)
class Collator:
    pad_id: int

    def __call__(self, batch: list[Example]) -> dict[str, Tensor]:
        return collate(batch, self.pad_id)


class RewardTrainer(Ordered, Trainer):
    """The library's loop; the loss is ours, summed and divided by the labels of the whole batch."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # the loss below is already divided by the labels of the whole batch
        self.model_accepts_loss_kwargs = True

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        if return_outputs or num_items_in_batch is None:
            raise TypeError("a reward model is trained, not evaluated, by its trainer")
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False).logits
        # gradients are averaged over processes, and labels counted in all of them
        return label_loss(logits[..., 0], inputs["labels"]) * self.accelerator.num_processes / num_items_in_batch


def train(ctx: StageContext, model: PreTrainedModel, examples: Sequence[Example], pad_id: int) -> StepCosts:
    """Train in place on the examples, ``reward_model.epochs`` times through; one line of metrics a step.

    The rate falls linearly to 0: the paper names a rate and no schedule, and scores are to be calibrated.

    Raises:
        ConfigError: the loss is no longer finite.
    """
    c, seed = ctx.config.reward_model, ctx.config.seeds.reward_model
    batch = min(c.batch_size, len(examples))
    steps = math.ceil(c.epochs * len(examples) / batch)
    order = epoch_order(len(examples), steps * batch, f"reward_model/{seed}")
    lengths = [example.length for example in examples]
    opt = Optimisation(
        section="reward_model", steps=steps, batch_size=batch, learning_rate=c.learning_rate,
        factor=lambda step: 1.0 - step / steps, adam_beta1=c.adam_beta1, adam_beta2=c.adam_beta2,
        weight_decay=c.weight_decay, max_grad_norm=c.max_grad_norm, seed=seed,
    )  # fmt: skip
    args = trainer_arguments(ctx, model, opt, ctx.config.base.dtype, max(lengths))
    order = sorted_within_batches(order, lengths, batch)
    costs = StepCosts.of(
        replace(model_shape(model), vocab_size=1), order, [(length,) for length in lengths], opt.batch_size
    )
    trainer = RewardTrainer(
        model=model,
        args=args,
        train_dataset=[*examples, Example("", [pad_id], [], [], [], False)],
        data_collator=Collator(pad_id),
    )
    trainer.set_order(order, opt.batch_size, len(examples), opt.factor)
    run_trainer(ctx, trainer, costs, opt)
    return costs
