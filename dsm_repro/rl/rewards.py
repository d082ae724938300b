"""Rewards of completions. The rule reward is the grader's verdict on the extracted answer.

The rewards of a trained model are in ``reward_model/score.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dsm_repro.config.rl_schema import RewardConfig
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning.answers import answer_to
from dsm_repro.rl.estimators.base import Steps

if TYPE_CHECKING:
    from dsm_repro.pipeline.stage import StageContext
    from dsm_repro.reasoning.grading import Grader, Verdict
    from dsm_repro.rl.batch import Batch

#: the grader's statuses and the names they have in the metrics
STATUSES = {"correct": "right", "incorrect": "wrong", "no_answer": "no_answer", "ungradable": "ungradable"}


@dataclass(frozen=True)
class Completions:
    """What is to be rewarded: B completions, those of one question in consecutive rows."""

    texts: Sequence[str]
    #: the question of each
    problems: Sequence[Problem]
    #: the tokens, as the policy drew them
    batch: Batch
    #: where programs were run, what was found in their output; else the rule looks into the texts
    answers: Sequence[str | None] | None = None


@dataclass(frozen=True)
class Rewards:
    """One reward per completion, how many completions had which verdict, and which were right by the rule."""

    values: list[float]
    counts: dict[str, int]
    correct: list[bool]
    #: where steps are judged
    steps: Steps | None = None
    #: spent on a reward model, by purpose
    flops: dict[str, float] = field(default_factory=dict)

    @property
    def ungradable_share(self) -> float:
        return self.counts["ungradable"] / max(len(self.values), 1)


class RewardFunction(Protocol):
    """Anything that rewards completions; every kind of reward also counts the rule's verdicts."""

    def __call__(self, completions: Completions) -> Rewards: ...


def answers_in(texts: Sequence[str], problems: Sequence[Problem]) -> list[str | None]:
    """What each text answers to its problem, None where nothing is found."""
    return [answer_to(problem.answer, text).answer for text, problem in zip(texts, problems, strict=True)]


def verdicts(grader: Grader, answers: Sequence[str | None], problems: Sequence[Problem]) -> list[Verdict]:
    """The grader's verdict on each answer to its problem; equal pairs are graded once."""
    pairs = [(found, problem.answer) for found, problem in zip(answers, problems, strict=True)]
    distinct = list(dict.fromkeys(pairs))
    graded = dict(zip(distinct, grader.grade_many(distinct), strict=True))
    return [graded[pair] for pair in pairs]


class RuleReward:
    """``reward.correct`` where the grader says correct, else ``reward.incorrect``.

    A completion that was cut by the length limit is judged by the same rule: most have no answer.
    """

    def __init__(self, config: RewardConfig, grader: Grader) -> None:
        self.config = config
        self.grader = grader

    def __call__(self, completions: Completions) -> Rewards:
        """Grade each completion against its question's answer."""
        answers = completions.answers
        if answers is None:
            answers = answers_in(completions.texts, completions.problems)
        given = verdicts(self.grader, answers, completions.problems)
        counts = dict.fromkeys(STATUSES.values(), 0)
        for verdict in given:
            counts[STATUSES[verdict.status]] += 1
        correct = [verdict.status == "correct" for verdict in given]
        good, bad = self.config.correct, self.config.incorrect
        return Rewards([good if right else bad for right in correct], counts, correct)


def zero_variance_share(rewards: Sequence[float], group_size: int) -> float:
    """Share of groups whose rewards are all equal: under Eq. 3 these teach nothing but the KL term."""
    groups = [rewards[start : start + group_size] for start in range(0, len(rewards), group_size)]
    return sum(min(group) == max(group) for group in groups) / len(groups)


def build_reward(ctx: StageContext, grader: Grader) -> RewardFunction:
    """The reward of ``reward.kind``: the rule's, or the score of the model that the stage ``reward_model`` left."""
    rule = RuleReward(ctx.config.reward, grader)
    if ctx.config.reward.kind == "rule":
        return rule
    from dsm_repro.rl.reward_model.score import build

    return build(ctx, rule)
