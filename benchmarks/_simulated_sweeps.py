"""Sweeps with a known truth: made-up answers that go through the report's own comparison, Holm and verdict.

Questions differ in difficulty, each arm finds other questions hard, every seed trains a model that is a little better
or worse, and an answer is right or wrong by chance. With ``effect`` 0 all arms are the same population, so that
whatever is then called reproduced or contradicted is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dsm_repro.config.sweep_schema import recorded_ks
from dsm_repro.reporting import statistics, verdict
from dsm_repro.reporting.comparing import Compared, compare, judged
from dsm_repro.reporting.measures import Column, Measured

Array = NDArray[np.float64]

#: standard deviations on the logit scale: difficulty of a question, and how an arm's own questions differ from that
DIFFICULTY, OWN = 2.0, 0.7
#: answers drawn for Maj@K and Pass@K
DRAWN = 4
_TRUTH = 100_000


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Scenario:
    """One kind of sweep: a chain of arms, each compared with the one before it."""

    seeds: int = 3
    questions: int = 800
    comparisons: int = 1
    #: points of accuracy by which the seeds of one arm differ (standard deviation)
    seed_sd: float = 2.0
    #: points of accuracy by which the fine-tuned models, that all arms of a seed start from, differ
    shared_sd: float = 0.0
    #: the first arm is one checkpoint, from which the seeds of the others start
    one_checkpoint: bool = False
    #: true difference between an arm and the one before it, in points of the metric
    effect: float = 0.0
    metric: str = "accuracy"
    expect: str = "a_greater"
    margin: float = 0.0
    #: t with 3 degrees of freedom: now and then a seed that goes wrong
    heavy: bool = False
    untrained: bool = False

    @cached_property
    def truth(self) -> Truth:
        return Truth(self)

    @property
    def names(self) -> list[str]:
        return [f"arm{i}" for i in range(self.comparisons + 1)]

    def claims(self) -> list[dict[str, object]]:
        return [
            {"a": a, "b": b, "expect": self.expect, "metric": self.metric, "margin": self.margin}
            for b, a in zip(self.names, self.names[1:], strict=False)
        ]

    def scores(self, p: Array, right: NDArray[np.int64]) -> Array:
        """The metric of each cell: of its answers drawn, or of a greedy one."""
        if self.metric == "accuracy":
            return (right > 0).astype(np.float64)
        return _at_k(right)[self.metric]


@dataclass(frozen=True)
class Truth:
    """What holds in the population, by 100,000 draws: logits of the arms, and what the plan would have to know."""

    scenario: Scenario
    logits: list[float] = field(init=False)
    #: shares: seed-to-seed standard deviation of a difference, and disagreement at one seed
    seed_sd: float = field(init=False)
    discordant: float = field(init=False)
    #: logits for one point of accuracy
    unit: float = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        theta = DIFFICULTY * rng.standard_normal(_TRUTH)
        own = OWN * rng.standard_normal((2, _TRUTH))
        p = _sigmoid(theta + own[0])
        unit = 0.01 / float((p * (1 - p)).mean())
        seed = unit * self.scenario.seed_sd * rng.standard_normal((2, _TRUTH))
        one = self.scenario.one_checkpoint

        def mean(logit: float) -> float:
            return 100 * float(_expected(_sigmoid(theta + own[0] + seed[0] + logit), self.scenario.metric).mean())

        logits = [0.0]
        for _ in range(self.scenario.comparisons):
            target = mean(logits[-1]) + self.scenario.effect
            low, high = logits[-1] - 3, logits[-1] + 3
            for _ in range(30 if self.scenario.effect else 0):
                middle = (low + high) / 2
                low, high = (middle, high) if mean(middle) < target else (low, middle)
            logits.append((low + high) / 2)
        a = _sigmoid(theta + own[0] + seed[0] + logits[1])
        b = _sigmoid(theta + own[1] + (0 if one else seed[1]))
        for name, value in (
            ("logits", logits),
            ("unit", unit),
            ("discordant", float((a * (1 - b) + b * (1 - a)).mean())),
            ("seed_sd", self.scenario.seed_sd / 100 * (1 if one else 2**0.5)),
        ):
            object.__setattr__(self, name, value)


def _at_k(right: NDArray[np.int64]) -> dict[str, Array]:
    """Maj@K and Pass@K of cells of which ``right`` of ``DRAWN`` answers are right; the wrong ones all differ."""
    found: dict[str, Array] = {}
    for k in recorded_ks(DRAWN):
        none = np.prod([(DRAWN - right - i) / (DRAWN - i) for i in range(k)], axis=0)
        found[f"pass@{k}"] = 1 - np.maximum(none, 0.0)
    # one or two answers: a share of them; four: two right ones outvote the rest, one is tied with it
    found["maj@1"] = found["maj@2"] = right / DRAWN
    found["maj@4"] = np.array([0, 1 / 4, 1, 1, 1])[right]
    return found


def _expected(p: Array, metric: str) -> Array:
    if metric == "accuracy":
        return p
    counts = np.arange(DRAWN + 1)
    choose = np.array([1, 4, 6, 4, 1])
    chance = choose * p[:, None] ** counts * (1 - p[:, None]) ** (DRAWN - counts)
    return np.asarray(chance @ _at_k(counts)[metric])


def answers(scenario: Scenario, rng: np.random.Generator) -> dict[str, Array | NDArray[np.int64]]:
    """How many of the answers are right, (seeds, questions) for each arm."""
    truth, (seeds, questions) = scenario.truth, (scenario.seeds, scenario.questions)
    theta = DIFFICULTY * rng.standard_normal(questions)
    shared = truth.unit * scenario.shared_sd * rng.standard_normal((1 if scenario.one_checkpoint else seeds, 1))
    drawn = 1 if scenario.metric == "accuracy" else DRAWN
    found = {}
    for i, (name, logit) in enumerate(zip(scenario.names, truth.logits, strict=True)):
        single = scenario.one_checkpoint and i == 0
        noise = rng.standard_t(3, (seeds, 1)) / 3**0.5 if scenario.heavy else rng.standard_normal((seeds, 1))
        seed = 0.0 if single else truth.unit * scenario.seed_sd * noise
        p = _sigmoid(theta + OWN * rng.standard_normal(questions) + shared + seed + logit)
        found[name] = rng.binomial(drawn, p[:1] if single else p)
    return found


def measured(scenario: Scenario, arm: str, right: NDArray[np.int64]) -> Measured:
    """The arm as the report reads it from records."""
    questions = tuple(map(str, range(right.shape[1])))
    column = Column("cot", "cot", {}, tuple(scenario.names))
    interval = statistics.Interval(0, 0, 0, *right.shape)  # of the arm alone; no comparison looks at it
    # a single checkpoint is every seed's
    seeds = (tuple(range(scenario.seeds)),) if len(right) == 1 else tuple((i,) for i in range(len(right)))
    votes: tuple[dict[str, dict[str, object]], ...] = ()
    if scenario.metric != "accuracy":
        scores = _at_k(right)
        ks = recorded_ks(DRAWN)
        votes = tuple(
            {
                q: {"n": DRAWN, **{kind: [scores[f"{kind}@{k}"][row, i] for k in ks] for kind in ("maj", "pass")}}
                for i, q in enumerate(questions)
            }
            for row in range(len(right))
        )
    models = tuple(f"{arm}-{row}" for row in range(len(right)))
    return Measured(arm, column, seeds, questions, (right > 0).astype(np.float64), interval, (), models, votes)


def compared(scenario: Scenario, rng: np.random.Generator, resamples: int) -> tuple[Compared, ...]:
    """One sweep, judged."""
    arms = {arm: measured(scenario, arm, right) for arm, right in answers(scenario, rng).items()}
    outcomes = []
    for claim in scenario.claims():
        a, b = arms[str(claim["a"])], arms[str(claim["b"])]
        outcomes.append(compare(a, b, scenario.margin, scenario.metric, resamples))
    return judged(scenario.claims(), outcomes, scenario.names if scenario.untrained else ())


@dataclass(frozen=True)
class Rates:
    """Of so many sweeps: shares that decided anything, and in which a given comparison was found (the rarest)."""

    sweeps: int
    decided: float
    found: float
    direction: float

    @staticmethod
    def of(scenario: Scenario, sweeps: int, resamples: int, seed: int = 1) -> Rates:
        rng = np.random.default_rng([seed, scenario.seeds, scenario.questions])
        words = np.array([[c.verdict for c in compared(scenario, rng, resamples)] for _ in range(sweeps)])
        decisive = (words == verdict.REPRODUCED) | (words == verdict.CONTRADICTED)
        return Rates(
            sweeps=sweeps,
            decided=float(decisive.any(axis=1).mean()),
            found=float((words == verdict.REPRODUCED).mean(axis=0).min()),
            direction=float((words == verdict.DIRECTION_ONLY).mean()),
        )
