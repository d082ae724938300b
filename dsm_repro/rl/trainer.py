"""The policy-gradient trainer: one exploration stage, then one or more updates, for every method alike.

A subclass of ``trl.GRPOTrainer``: its loop, optimiser, clipping and checkpoints. Ours are the rollouts, the
reward, the estimator and the critic, and the loss, which is ``objectives.grpo_loss`` (the conformance tests
show that TRL's own loss agrees on the same batch). Methods differ in their estimator and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftConfig
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer
from trl import GRPOConfig, GRPOTrainer

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.pipeline.tracker import shown
from dsm_repro.rl import accounting, objectives
from dsm_repro.rl.batch import Batch, completion_logps, logps_in_parts
from dsm_repro.rl.critic import Critic, Regression, Returns
from dsm_repro.rl.distributed import Processes
from dsm_repro.rl.estimators import Estimator
from dsm_repro.rl.experience import Experience, Metrics
from dsm_repro.rl.exploration import Explorer, Task
from dsm_repro.rl.iteration import Rounds
from dsm_repro.rl.precision import Autocast
from dsm_repro.rl.sizes import rows_at_once
from dsm_repro.training.adapters import learn_in_float32, policy_of
from dsm_repro.training.models import model_shape
from dsm_repro.training.moments import CutMoments, gather

EXTRA_STATE = "rl_state.pt"

__all__ = ["Experience", "PolicyGradientTrainer"]


class PolicyGradientTrainer(Autocast, CutMoments, GRPOTrainer):
    """Runs ``estimator`` on ``task`` until ``on_step`` says that the budget is spent.

    Args:
        on_step: called after every update with (step, metrics, flops by purpose of that step); returns
            whether to stop. Of several processes, only the first calls it, and what it says holds for all.
        on_checkpoint: called with the folder of a checkpoint, to put more into it; by the first process only.
        rounds: the outer iterations of Algorithm 1, where a method has them.
        cut_moments: the moments of policy and critic are cut up among the processes.
        adapters: trained in place of the model's own weights. The reference is then the policy without them.
        reference: the frozen reference policy of a method that has one, without ``adapters``. A method that learns
            from completions of the starting model draws them from it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        args: GRPOConfig,
        rl: RLConfig,
        task: Task,
        estimator: Estimator,
        critic: Critic | None,
        reference: PreTrainedModel | None,
        micro_batch: int,
        on_step: Callable[[int, Metrics, dict[str, float]], bool],
        on_checkpoint: Callable[[Path], None],
        rounds: Rounds | None = None,
        adapters: PeftConfig | None = None,
        cut_moments: bool = False,
    ) -> None:
        self.cut_moments = cut_moments
        super().__init__(
            model=model,
            reward_funcs=[_not_called],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": list(task.prompts)}),
            processing_class=tokenizer,
            peft_config=adapters,
        )
        learn_in_float32(self.model)
        #: the language model itself: what the mathematics works on
        self.policy = policy_of(self.model)
        self.rl, self.task, self.estimator = rl, task, estimator
        self.reference, self.critic = reference, critic
        self.on_step, self.on_checkpoint, self.rounds = on_step, on_checkpoint, rounds
        if estimator.needs_critic != (critic is not None):
            raise ValueError(f"{type(estimator).__name__}: needs_critic={estimator.needs_critic}, critic={critic}")
        self.micro_batch = rows_at_once(micro_batch, args.device.type)
        self.shape = model_shape(self.policy)
        self.processes = Processes(args.process_index, args.world_size, args.device)
        self.explorer = Explorer(
            rl, task, estimator, tokenizer, self.eos_token_ids, self.shape, args.seed, self.processes
        )
        self.experience: Experience | None = None
        self.spent: dict[str, float] = {}
        self.regression: Regression | None = None
        if critic is not None:
            rate = estimator.critic_learning_rate(rl.learning_rate)
            self.regression = Regression(critic, self, rate, self.processes, cut_moments)

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        # gradients are added up in training_step: DDP's wrapper would hold buckets as large as the weights for nothing
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)

    # The question order is a function of the step, so the loader only counts.
    def get_train_dataloader(self) -> DataLoader:  # type: ignore[type-arg]
        return DataLoader(range(self.args.max_steps), batch_size=1, collate_fn=list)  # type: ignore[arg-type]

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def explore(self, step: int) -> Experience:
        """Sample, reward, score with the reference, estimate advantages: §4.1, before any update of ``step``."""
        rl = self.rl
        if self.rounds is not None:
            self._spend(self.rounds.before(self.policy, self.reference))
        with self._explorer() as explorer, self.compute_loss_context_manager(), _evaluating(explorer):
            found = self.explorer(explorer, step // rl.updates_per_exploration)
        if self.rounds is not None:
            self.rounds.after(found)
        batch, metrics = found.batch, dict(found.metrics)
        ref_logps = self._reference_logps(batch, found.logps.dtype) if self.estimator.needs_reference else None
        self._spend(found.flops)
        if ref_logps is not None:
            frozen = replace(self.shape, adapter_parameters=0)
            self._spend({"reference": accounting.forward(frozen, found.lengths)})
        metrics["kl"] = (
            None if ref_logps is None else _masked_mean(objectives.k3(found.logps, ref_logps), batch.written)
        )
        signals = found.signals(ref_logps, rl.group_size, rl.max_completion_length)
        values = returns = None
        if self.regression is not None:
            values, returns = self._update_critic(
                batch,
                metrics,
                lambda index, seen: self.estimator.returns(signals.rows(index, seen.shape[1]), seen),
            )
        weights = self.estimator.weights(batch.written.to(found.logps.dtype), rl.max_completion_length)
        metrics["tokens_trained"] = int((weights != 0).sum())
        advantages = self.estimator.advantages(signals, values)
        return Experience(batch, advantages, weights, ref_logps, found.lengths, metrics, returns)

    @contextlib.contextmanager
    def _start(self) -> Iterator[Any]:
        """The frozen reference policy: a model of its own, or the policy with its adapters switched off."""
        if self.reference is not None:
            yield self.reference
            return
        with self.model.disable_adapter():
            yield self.policy

    def _explorer(self) -> contextlib.AbstractContextManager[Any]:
        """Who writes the completions."""
        return self._start() if self.estimator.offline else contextlib.nullcontext(self.policy)

    def _reference_logps(self, batch: Batch, dtype: torch.dtype) -> Tensor:
        own = self.processes.micro_batches(batch, self.micro_batch)
        with self._start() as reference, self.compute_loss_context_manager():
            return self.processes.total(logps_in_parts(reference, batch, own, self.rl.temperature, dtype))

    def _update_critic(self, batch: Batch, metrics: Metrics, returns_of: Returns) -> tuple[Tensor, Tensor]:
        assert self.regression is not None
        context = self.compute_loss_context_manager()
        values, returns, told = self.regression.step(batch, self.micro_batch, returns_of, context)
        metrics.update(told)
        return values, returns

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """One update: the gradient of the whole batch, added up over micro-batches and over processes."""
        model.train()
        update = self.state.global_step % self.rl.updates_per_exploration
        if update == 0 or self.experience is None:
            self.experience = self.explore(self.state.global_step)
        elif self.experience.returns is not None:
            returns = self.experience.returns
            self._update_critic(
                self.experience.batch, self.experience.metrics, lambda i, values: returns[i, : values.shape[1]]
            )
        loss = self.batch_loss(self.policy, self.experience, self.accelerator.backward)
        self.processes.add_gradients(self.model.parameters())
        self._spend(accounting.update_flops(self.shape, self.experience.lengths, self.critic is not None))
        return loss

    def batch_loss(self, model: Any, experience: Experience, backward: Callable[[Tensor], None]) -> Tensor:
        """The method's loss (grpo: Eq. 3, ppo: Eq. 1) on the whole batch.

        ``backward`` gets each part of it: of several processes, each its own parts.
        """
        first_update = not experience.old_logps
        total = torch.zeros((), device=self.args.device, dtype=experience.weights.dtype)
        for number, (index, part) in enumerate(self.processes.micro_batches(experience.batch, self.micro_batch)):
            width = part.completion_ids.shape[1]
            with self.compute_loss_context_manager():
                logps = completion_logps(model, part, self.rl.temperature)
                # at the first update pi_old is pi_theta: no forward pass of its own
                old_logps = logps.detach() if first_update else experience.old_logps[number]
                surrogate = self.estimator.surrogate(
                    logps, old_logps, experience.advantages[index, :width], part.written
                )
                kl = None
                if self.estimator.loss_kl_coefficient != 0.0:
                    assert experience.ref_logps is not None
                    kl = objectives.k3(logps, experience.ref_logps[index, :width])
                weights = experience.weights[index, :width]
                loss = objectives.policy_loss(surrogate, weights, kl, self.estimator.loss_kl_coefficient)
            backward(loss)
            if first_update and self.rl.updates_per_exploration > 1:
                experience.old_logps.append(old_logps)
            total = total + loss.detach()
        return self.processes.total(total)

    def _spend(self, flops: dict[str, float]) -> None:
        for purpose, amount in flops.items():
            self.spent[purpose] = self.spent.get(purpose, 0.0) + amount

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called by the loop after every update."""
        if "grad_norm" not in logs or self.experience is None:
            return
        spent, self.spent = self.spent, {}
        metrics = {**self.experience.metrics, "loss": logs["loss"], "grad_norm": logs["grad_norm"]}
        if self.processes.first(lambda: self.on_step(self.state.global_step, metrics, spent)):
            self.control.should_training_stop = True
            # a run that goes on from a checkpoint takes a step, and this one was the last
            self.control.should_save = False
        self.callback_handler.on_log(self.args, self.state, self.control, shown(metrics))
        # counts belong to the exploration, not to each of its updates
        if self.rl.updates_per_exploration > 1:
            self.experience.metrics["tokens_generated"] = 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.regression is not None:
            gather(self.regression.optimizer)
        # not TRL's: it writes a model card
        Trainer._save_checkpoint(self, model, trial)
        self.processes.first(lambda: self._save_extra(Path(self.args.output_dir)))

    def _save_extra(self, output: Path) -> None:
        folder = output / f"checkpoint-{self.state.global_step}"
        if self.regression is not None:
            self.regression.save(folder / EXTRA_STATE)
        if self.rounds is not None:
            self.rounds.save(folder)
        self.on_checkpoint(folder)

    def load_extra(self, checkpoint: Path) -> None:
        """Put back the critic with its optimiser, and where the rounds stand."""
        if self.rounds is not None:
            self.rounds.load(checkpoint)
        if self.regression is not None:
            self.regression.load(checkpoint / EXTRA_STATE)


def _masked_mean(values: Tensor, mask: Tensor) -> float:
    return float((values * mask).sum() / mask.sum().clamp(min=1))


def _not_called(prompts: Sequence[str], completions: Sequence[str], **kwargs: Any) -> list[float]:
    raise RuntimeError("rewards are given in PolicyGradientTrainer.explore")


@contextlib.contextmanager
def _evaluating(model: Any) -> Any:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
