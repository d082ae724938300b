"""``trl.DPOTrainer`` on pairs that are drawn as it goes: its loss, its loop, its optimiser and checkpoints.

Ours are where the pairs come from, micro-batches that add up to the mean over the whole step, and the accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from dsm_repro.pipeline.tracker import shown
from dsm_repro.rl import accounting
from dsm_repro.rl.exploration import Metrics
from dsm_repro.rl.precision import Autocast
from dsm_repro.rl.preference.pairs import Draw, Pair, PairStream, lengths
from dsm_repro.training.models import model_shape

#: TRL's name of a mean over pairs -> ours
_SHOWN = {
    "rewards/margins": "margin",
    "rewards/accuracies": "implicit_accuracy",
    "rewards/chosen": "implicit_reward_right",
    "rewards/rejected": "implicit_reward_wrong",
}


class PairCollator(DataCollatorForPreference):  # type: ignore[misc]
    """TRL's batch, right completions before wrong ones, with what a tool wrote taken out of the loss."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(examples)
        for first, side in ((0, "chosen"), (len(examples), "rejected")):
            for row, example in enumerate(examples, first):
                written, start = example[f"{side}_written"], len(example["prompt_ids"])
                if written is not None:
                    mask = batch["completion_mask"]
                    mask[row, start : start + len(written)] = mask.new_tensor(written)
        return batch


class PreferenceTrainer(Autocast, DPOTrainer):
    """Trains on ``pairs`` until ``on_step`` says that the budget is spent.

    Args:
        reference: the frozen reference policy.
        pairs_per_step: pairs of an update, fewer where an epoch ends.
        micro_batch: completions in one forward pass; a pair is two.
        on_step: called after every update with (step, metrics, flops by purpose); returns whether to stop.
        on_checkpoint: called with the folder of a checkpoint, to put more into it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        reference: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        args: DPOConfig,
        pairs: PairStream,
        pairs_per_step: int,
        micro_batch: int,
        on_step: Callable[[int, Metrics, dict[str, float]], bool],
        on_checkpoint: Callable[[Path], None],
    ) -> None:
        super().__init__(
            model=model,
            ref_model=reference,
            args=args,
            # TRL looks into a data set that is never read: the pairs of a step are drawn in that step
            train_dataset=Dataset.from_dict({"prompt_ids": [[0]]}),
            processing_class=tokenizer,
            data_collator=PairCollator(pad_token_id=int(tokenizer.pad_token_id)),  # type: ignore[arg-type]
        )
        self.pairs, self.pairs_per_step = pairs, pairs_per_step
        self.pairs_at_once = max(1, micro_batch // 2)
        self.on_step, self.on_checkpoint = on_step, on_checkpoint
        self.shape = model_shape(model)
        self.draw: Draw | None = None
        self.measured: dict[str, float] = {}

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        # TRL would tokenise text here
        return dataset

    # What is learned from is a function of the step, so the loader only counts.
    def get_train_dataloader(self) -> DataLoader:  # type: ignore[type-arg]
        return DataLoader(range(self.args.max_steps), batch_size=1, collate_fn=list)  # type: ignore[arg-type]

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Draw pairs and add up the gradient of their mean loss."""
        model.train()
        with self.compute_loss_context_manager():
            self.draw = self.pairs.take(self.pairs_per_step)
        return self.batch_loss(model, self.draw.pairs, self.accelerator.backward)

    def batch_loss(self, model: Any, pairs: Sequence[Pair], backward: Callable[[Tensor], None]) -> Tensor:
        """TRL's loss, the mean over ``pairs``; ``backward`` gets each part of it, pairs of like length together."""
        ordered = sorted(pairs, key=lambda pair: pair.longest)
        self.measured = dict.fromkeys(_SHOWN.values(), 0.0)
        total: Tensor | None = None
        for start in range(0, len(ordered), self.pairs_at_once):
            part = ordered[start : start + self.pairs_at_once]
            share = len(part) / len(pairs)
            batch = self._prepare_inputs(self.data_collator([vars(pair) for pair in part]))
            with self.compute_loss_context_manager():
                loss = self.compute_loss(model, batch) * share
            backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
            for theirs, ours in _SHOWN.items():
                self.measured[ours] += share * self._metrics["train"][theirs][-1]
            self._metrics["train"].clear()
        assert total is not None
        return total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called by the loop after every update."""
        if "grad_norm" not in logs or self.draw is None:
            return
        trained = lengths(self.draw.pairs)
        flops = {
            **self.draw.flops,
            "reference": accounting.forward(self.shape, trained),
            "train": accounting.train(self.shape, trained),
        }
        metrics = {
            **self.draw.metrics,
            "tokens_trained": sum(pair.trained for pair in self.draw.pairs),
            # the pairs say how far the policy has gone on them, not from the reference at large
            "kl": None,
            **self.measured,
            "loss": logs["loss"],
            "grad_norm": logs["grad_norm"],
        }
        if self.on_step(self.state.global_step, metrics, flops):
            self.control.should_training_stop = True
            # a run that goes on from a checkpoint takes a step, and this one was the last
            self.control.should_save = False
        self.callback_handler.on_log(self.args, self.state, self.control, shown(metrics))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # not TRL's: it writes a model card
        Trainer._save_checkpoint(self, model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        self.pairs.save(folder)
        self.on_checkpoint(folder)
