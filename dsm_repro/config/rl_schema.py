"""Rewards, reward models and reinforcement learning (§4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class RewardConfig:
    #: rule: 1 if the grader says correct, else 0; outcome, process: the score of a trained model, at the end of the
    #: completion or of each of its steps (§4.1.2-4.1.3)
    kind: str = "rule"
    correct: float = 1.0
    incorrect: float = 0.0
    #: alarm when more than this share of answers could not be graded
    max_ungradable: float = 0.05


@dataclass
class RewardModelConfig:
    """The model behind reward=outcome and reward=process, §4.2; its data as in Math-Shepherd (arXiv:2312.08935)."""

    #: questions of the training split, of which a share is held out
    questions: int = 2_000
    holdout_share: float = 0.1
    #: solutions of the fine-tuned model for each question
    samples: int = 8
    #: N, how often each step is completed (process)
    completions: int = 8
    #: hard: a step is right if any completion is; soft: the share that is (process)
    label: str = "hard"
    temperature: float = 1.0
    #: completions drawn at once; the noise of each depends on it
    sampling_rows: int = 512
    #: the paper gives the rate alone
    learning_rate: float = 2e-5
    epochs: int = 1
    #: solutions in one optimiser step
    batch_size: int = 64
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


@dataclass
class DifficultyConfig:
    """Which questions reinforcement learning explores: not in the paper, which takes all."""

    #: none: all | pass_rate: those that the model it starts from solves neither always nor never, as measured before
    method: str = "none"
    #: questions tried; of those in the band RL explores the first ``rl.questions``
    questions: int = 2_000
    #: answers drawn to each, at ``rl.temperature`` and ``rl.top_p``
    samples: int = 8
    #: the band, both ends included: share of a question's answers that are right. Another band uses the same answers
    at_least: float = 0.1
    at_most: float = 0.8
    #: completions drawn at once; the noise of each depends on it
    sampling_rows: int = 512


BUDGET_UNITS = ("flops", "tokens", "seconds", "steps")


@dataclass
class BudgetConfig:
    #: flops (all purposes together) | tokens (generated) | seconds (wall-clock of the stage's own work, carried over
    #: kills; not deterministic) | steps (gradient updates); defined in ``rl.budget.Ledger.spent``
    unit: str = "steps"
    amount: float = 100


@dataclass
class RLConfig:
    """§4. ``method`` is none or the name of a file in ``rl/estimators/``."""

    method: str = "grpo"
    #: how the policy answers: cot | pot (a program, graded by what it prints) | tool (programs run while it writes)
    mode: str = "cot"
    questions: int = 2_000
    questions_per_step: int = 16
    #: G
    group_size: int = 64
    max_completion_length: int = 1_024
    #: what draws completions: transformers (ours, the same for the same seed) | vllm (not: see ``rl/vllm.py``)
    engine: str = "transformers"
    #: rollout sampling; the paper says "naive nucleus sampling" and gives no values
    temperature: float = 1.0
    top_p: float = 1.0
    learning_rate: float = 1e-6
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    #: mu, gradient updates per exploration stage (§4.2: one)
    updates_per_exploration: int = 1
    #: epsilon of Eq. 1 and 3; the paper gives no value; inert at one update per exploration
    clip_epsilon: float = 0.2
    #: beta of Eq. 2 and 3
    kl_coefficient: float = 0.04
    #: std(r) of §4.1.2: delta degrees of freedom (0 = population) and the guard added to it
    std_ddof: int = 0
    std_guard: float = 1e-8
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    #: save the policy at this many equal shares of the budget before its end; ``evaluate`` then traces accuracy
    #: over tokens, FLOPs and seconds
    snapshots: int = 0
    #: the method's own settings; its YAML lists them
    options: dict[str, Any] = field(default_factory=dict)
