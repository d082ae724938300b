"""Rewards that are the score of a trained model (§4.2: labels come from the rule, the reward is the model's)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.reasoning.steps import step_ends
from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch
from dsm_repro.rl.estimators.base import Steps
from dsm_repro.rl.reward_model.examples import Example
from dsm_repro.rl.reward_model.model import load, score_flops, scores_at
from dsm_repro.rl.rewards import Completions, Rewards, RuleReward
from dsm_repro.rl.rollouts import left_pad
from dsm_repro.rl.sizes import rows_at_once
from dsm_repro.training.models import load_tokenizer, model_shape, resolve_device


class ModelReward:
    """What outcome and process rewards share: a scoring pass, its FLOPs, and the rule's verdicts beside it.

    The reward is the probability that the model gives to being right, not its logit: it has the range of the rule
    reward, so that std(r) of Eq. 3 and the critic's targets keep their scale, and a solution of which the model is
    already sure gains nothing from more certainty, which a policy would otherwise chase.
    """

    def __init__(self, model: PreTrainedModel, rule: RuleReward, rows: int) -> None:
        self.model, self.rule, self.rows = model.requires_grad_(False), rule, rows
        self.shape = model_shape(model)

    def ends(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """The judged positions of completions, given as token ids."""
        raise NotImplementedError

    def __call__(self, completions: Completions) -> Rewards:
        """Score each completion; verdicts and ``correct`` are the rule's."""
        judged, batch = self.rule(completions), completions.batch
        lengths = batch.lengths.tolist()
        rows = [row[:n] for row, n in zip(batch.completion_ids.tolist(), lengths, strict=True)]
        ends = self.ends(rows)
        scores = scores_at(self.model, batch, ends, self.rows)
        groups: list[list[int]] = [[] for _ in range(len(batch.prompt_ids))]
        for owner, length in zip(batch.owner.tolist(), lengths, strict=True):
            groups[owner].append(length)
        spent = score_flops(self.shape, accounting.Lengths(batch.prompt_mask.sum(-1).tolist(), groups))
        values = [row[-1] for row in scores]
        # the model against the rule: what a policy gains by deceiving the model shows here
        agreed = sum((value >= 0.5) == right for value, right in zip(values, judged.correct, strict=True))
        return Rewards(
            values=values,
            counts={**judged.counts, "agreed": agreed},
            correct=judged.correct,
            steps=self.steps(scores, ends),
            flops={"reward_model": spent},
        )

    def steps(self, scores: list[list[float]], ends: list[list[int]]) -> Steps | None:
        return None


class OutcomeReward(ModelReward):
    """§4.1.2: one score, at the last token of the completion."""

    def ends(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        return [[len(row) - 1] for row in rows]


class ProcessReward(ModelReward):
    """§4.1.3: a score at the end of each step.

    The value of a completion, for methods that do not look at steps and for the metrics, is the score of its last
    step: what was labelled there is whether the answer is right, so it estimates what an outcome reward does.
    """

    def __init__(
        self, model: PreTrainedModel, rule: RuleReward, rows: int, tokenizer: PreTrainedTokenizerBase, template: str
    ) -> None:
        super().__init__(model, rule, rows)
        self.tokenizer, self.template = tokenizer, template

    def ends(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        return [step_ends(row, self.tokenizer, self.template) for row in rows]

    def steps(self, scores: list[list[float]], ends: list[list[int]]) -> Steps | None:
        return Steps(scores, ends)


def build(ctx: StageContext, rule: RuleReward) -> ModelReward:
    """The reward of the artifact that the stage ``reward_model`` left.

    Raises:
        DataError: an artifact without a reward model.
        ConfigError: a kind that has none.
    """
    config, folder = ctx.config, ctx.parents["reward_model"] / "model"
    device = resolve_device(config.execution)
    rows = rows_at_once(config.execution.micro_batch, device)
    model = load(folder, device)
    if config.reward.kind == "outcome":
        return OutcomeReward(model, rule, rows)
    if config.reward.kind == "process":
        return ProcessReward(model, rule, rows, load_tokenizer(folder), config.prompts)
    raise ConfigError(f"reward.kind={config.reward.kind}: has no reward model. Use outcome or process.")


def to_batch(examples: Sequence[Example], pad_id: int, device: torch.device) -> Batch:
    """Examples as a batch; each brings its own prompt."""
    prompt_ids, prompt_mask = left_pad([example.prompt for example in examples], pad_id, device)
    width = max(len(example.completion) for example in examples)
    ids = [[*example.completion, *([pad_id] * (width - len(example.completion)))] for example in examples]
    lengths = torch.tensor([len(example.completion) for example in examples], device=device)
    mask = (torch.arange(width, device=device)[None] < lengths[:, None]).long()
    owner = torch.arange(len(examples), device=device)
    return Batch(prompt_ids, prompt_mask, owner, torch.tensor(ids, device=device), mask, mask)
