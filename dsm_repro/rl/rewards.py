"""The rule reward of §4.2's labels: the grader's verdict on the extracted answer, counted by kind at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.schema import RewardConfig
from dsm_repro.reasoning.extraction import extract

if TYPE_CHECKING:
    from dsm_repro.reasoning.grading import Grader

#: the grader's statuses and the names they have in the metrics
STATUSES = {"correct": "right", "incorrect": "wrong", "no_answer": "no_answer", "ungradable": "ungradable"}


@dataclass(frozen=True)
class Rewards:
    """One reward per completion, and how many completions had which verdict."""

    values: list[float]
    counts: dict[str, int]

    @property
    def ungradable_share(self) -> float:
        return self.counts["ungradable"] / max(len(self.values), 1)


class RuleReward:
    """``reward.correct`` where the grader says correct, else ``reward.incorrect``.

    A completion that was cut by the length limit is judged by the same rule: most have no answer.
    """

    def __init__(self, config: RewardConfig, grader: Grader) -> None:
        if config.kind != "rule":
            raise ConfigError(f"reward.kind={config.kind}: unknown. Use rule.")
        self.config = config
        self.grader = grader

    def __call__(self, completions: Sequence[str], answers: Sequence[str]) -> Rewards:
        """Grade ``completions[i]`` against ``answers[i]``; equal pairs are graded once."""
        pairs = [(extract(text).answer, gold) for text, gold in zip(completions, answers, strict=True)]
        distinct = list(dict.fromkeys(pairs))
        verdicts = dict(zip(distinct, self.grader.grade_many(distinct), strict=True))
        counts = dict.fromkeys(STATUSES.values(), 0)
        for pair in pairs:
            counts[STATUSES[verdicts[pair].status]] += 1
        good, bad = self.config.correct, self.config.incorrect
        return Rewards([good if verdicts[pair].status == "correct" else bad for pair in pairs], counts)


def zero_variance_share(rewards: Sequence[float], group_size: int) -> float:
    """Share of groups whose rewards are all equal: under Eq. 3 these teach nothing but the KL term."""
    groups = [rewards[start : start + group_size] for start in range(0, len(rewards), group_size)]
    return sum(min(group) == max(group) for group in groups) / len(groups)
