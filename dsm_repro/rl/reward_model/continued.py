"""Continued training of a reward model between rounds (§4.1.4), with a replay of historical data."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from dsm_repro.config.rl_schema import RewardModelConfig
from dsm_repro.pipeline.cost import train_flops
from dsm_repro.rl.experience import Exploration
from dsm_repro.rl.reward_model.examples import Example
from dsm_repro.rl.reward_model.model import label_loss
from dsm_repro.rl.reward_model.train import collate
from dsm_repro.training.batching import epoch_order
from dsm_repro.training.models import model_shape


class Reservoir:
    """A uniform sample of what was seen, of bounded size: a round at the paper's scale draws millions of solutions.

    Algorithm R (Vitter 1985), with noise that depends on the place in the stream alone.
    """

    def __init__(self, capacity: int, seed: str) -> None:
        self.capacity, self.seed = capacity, seed
        self.seen = 0
        self.kept: list[Example] = []

    def add(self, example: Example) -> None:
        self.seen += 1
        if len(self.kept) < self.capacity:
            self.kept.append(example)
            return
        place = random.Random(f"{self.seed}/{self.seen}").randrange(self.seen)
        if place < self.capacity:
            self.kept[place] = example

    def state(self) -> dict[str, Any]:
        return {"seed": self.seed, "seen": self.seen, "kept": [asdict(example) for example in self.kept]}

    def restore(self, state: dict[str, Any]) -> None:
        self.seed, self.seen = state["seed"], state["seen"]
        self.kept = [Example(**example) for example in state["kept"]]


def seen_examples(found: Exploration) -> list[Example]:
    """The completions of an exploration, each labelled by the rule's verdict at its last token.

    Under process rewards too: the last step's label *is* the verdict (arXiv:2312.08935), and labels of the steps
    before would cost completions that the policy's own budget pays for. Those come from the replay alone.
    """
    batch = found.batch
    prompts = [
        [token for token, known in zip(row, mask, strict=True) if known]
        for row, mask in zip(batch.prompt_ids.tolist(), batch.prompt_mask.tolist(), strict=True)
    ]
    rows = zip(
        batch.owner.tolist(), batch.completion_ids.tolist(), batch.lengths.tolist(), found.correct.tolist(), strict=True
    )
    return [
        Example("", prompts[owner], ids[:length], [length - 1], [float(correct)], bool(correct))
        for owner, ids, length, correct in rows
    ]


class Continued:
    """A reward model in training between rounds: one optimiser throughout, at the stage's constant rate.

    Args:
        history: the examples that the stage ``reward_model`` trained on.
        autocast: products in bfloat16.
    """

    def __init__(
        self, model: PreTrainedModel, config: RewardModelConfig, history: Sequence[Example], pad_id: int, rows: int,
        autocast: bool,
    ) -> None:  # fmt: skip
        self.model, self.config, self.history = model, config, list(history)
        self.pad_id, self.rows, self.autocast = pad_id, rows, autocast
        # the policy's own convention: no decay on norms and biases, which are vectors
        decayed = [p for p in model.parameters() if p.dim() > 1]
        rest = [p for p in model.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=(config.adam_beta1, config.adam_beta2),
            eps=1e-8,
            fused=True,
        )

    def batches(self, new: Sequence[Example], steps: int, replay_share: float, seed: str) -> list[list[Example]]:
        """``steps`` batches with ``replay_share`` of historical data, rounded to whole solutions."""
        size = self.config.batch_size
        old = round(replay_share * size)
        fresh = epoch_order(len(new), steps * (size - old), f"{seed}/new")
        replay = epoch_order(len(self.history), steps * old, f"{seed}/replay") if old else []
        return [
            [new[i] for i in fresh[step * (size - old) : (step + 1) * (size - old)]]
            + [self.history[i] for i in replay[step * old : (step + 1) * old]]
            for step in range(steps)
        ]

    def train(self, batches: Sequence[Sequence[Example]]) -> tuple[list[float], float]:
        """The loss of each update, and FLOPs spent. The model is frozen again afterwards."""
        self.model.requires_grad_(True).train()
        losses = [self._update(batch) for batch in batches]
        self.model.requires_grad_(False).eval()
        for parameter in self.model.parameters():
            parameter.grad = None
        shape = replace(model_shape(self.model), vocab_size=1)
        lengths = [example.length for batch in batches for example in batch]
        return losses, train_flops(shape, sum(lengths), float(sum(n * n for n in lengths)))

    def _update(self, batch: Sequence[Example]) -> float:
        labels = sum(len(example.labels) for example in batch)
        ordered = sorted(batch, key=lambda example: -example.length)
        total = 0.0
        for start in range(0, len(ordered), self.rows):
            inputs = self._tensors(ordered[start : start + self.rows])
            device = inputs["labels"].device
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.autocast):
                logits = self.model(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
                ).logits[..., 0]
                loss = label_loss(logits, inputs["labels"]) / labels
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total

    def _tensors(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        return {name: value.to(self.model.device) for name, value in collate(examples, self.pad_id).items()}

    def state(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
