"""The smallest difference that a comparison can be expected to find, before anything is spent.

It is the report's own rule turned round (docs/statistics.md). With R seeds and Q questions, in shares,

* ``V_R = seed_sd²/R``: the difference between two arms is not the same at every seed;
* ``V_Q = c·D/Q`` and ``V_RQ = (1-c)·D/(R·Q)``: at one seed the arms disagree on a share D of the questions, and a share
  c of that lies in the question, the same at every seed.

The observed difference has variance V_R + V_Q + V_RQ. It is found where it exceeds the border
sqrt(t² (V_R + V_RQ) u + z² (V_Q + V_RQ)), with t that of R-1 degrees of freedom and u a draw of chi²(R-1)/(R-1): what
the seeds happen to show of their variance. With few seeds u decides most, so the power is the mean over it. (The border
is Banerjee's, a close upper bound of what the bootstrap gives.) Holm's first step divides the level by the comparisons.

Only the standard library is used: a plan is made without numpy and scipy.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from dsm_repro.config.compose import Arm, Sweep
from dsm_repro.config.resolve import TRAINING_STAGES, has_stage
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.spread import Spread

LEVEL, POWER = 0.05, 0.80
#: share of questions on which two arms disagree at one seed (docs/statistics.md has what the reports here showed)
DISCORDANT_SHARE = 0.20
#: two accuracies of 1/2 that have nothing to do with one another: no pair disagrees on more of the questions by chance
UNPAIRED_SHARE = 0.50
#: standard deviation over seeds of the true difference between two arms; about the median of those reports
ASSUMED_SEED_SD = 0.03
#: shares of the disagreement that are the question's own, of which the worse counts: none is worse with few seeds, much
#: with many; in comparisons of earlier reports, of three seeds, 0 to 0.44
QUESTION_SHARES = (0.0, 0.5)

_PHI = NormalDist().cdf
_NODES = 160
#: comparisons of which the same is said are named one by one up to so many
MOST_APART = 8
#: more than anybody will run
_MOST_SEEDS = 128


@dataclass(frozen=True)
class Detectable:
    """What one comparison can find, as shares: None where no difference can be.

    A problem's Maj@K and Pass@K are shares of sets of K answers, and two arms' differ by no more, in the square, than
    two answers that are right or wrong: for them the differences are the largest that might be missed.
    """

    a: str
    b: str
    mode: str
    metric: str
    problems: int
    seeds: int
    comparisons: int
    #: assumed standard deviation over seeds of the true difference; 0 where nothing is trained
    seed_sd: float
    #: whether that is what the last report of the sweep showed
    seen: bool
    #: points that a is expected to be less than higher; None where a difference is expected
    margin: float | None
    #: where the arms disagree on ``DISCORDANT_SHARE`` of the problems, and on ``UNPAIRED_SHARE``, the worst there is
    usual: float | None
    worst: float | None

    @property
    def sentence(self) -> str:
        """For the plan's reader, with what was assumed."""
        return self.pair + self.found

    @property
    def pair(self) -> str:
        of = f"{self.mode}, {self.metric}" if self.metric != "accuracy" else self.mode
        return f"{self.a} against {self.b} ({of})"

    @property
    def found(self) -> str:
        """What the sentence says of the pair, its colon first."""
        what = f": {self.problems} problems x {self.seeds} seed{'s' if self.seeds > 1 else ''}"
        if self.usual is None or self.worst is None:
            return f"{what} decide nothing: one model of an arm does not tell what another seed would have given."
        if self.usual >= 1:
            return f"{what} cannot find a difference, however large; {self._assumed}."
        bound = "at worst " if self.metric != "accuracy" else ""
        if self.margin is not None:
            return f"{what} {self._not_greater(bound)}; {self._assumed}.{self._seeds_for_none()}"
        return (
            f"{what} detect {bound}a difference of {_points(self.usual)} points (arms disagree on "
            f"{DISCORDANT_SHARE:.0%}) to {_points(self.worst)} ({UNPAIRED_SHARE:.0%}); {self._assumed}."
        )

    @property
    def _assumed(self) -> str:
        seeds = f"seeds differ by {100 * self.seed_sd:.2g} points" if self.seed_sd else "nothing depends on a seed"
        seeds += ", as in the last report" if self.seen else ""
        many = "s" if self.comparisons > 1 else ""
        return f"{seeds}, {POWER:.0%} power at {LEVEL:.0%} over {self.comparisons} comparison{many}"

    def _not_greater(self, bound: str) -> str:
        assert self.margin is not None and self.usual is not None and self.worst is not None
        most = [f"{self.margin - 100 * found:+.1f}" for found in (self.usual, self.worst)]
        return (
            f'show "less than {self.margin:g} points higher" where the true difference is {bound}{most[0]} points or '
            f"lower (arms disagree on {DISCORDANT_SHARE:.0%}) to {most[1]} ({UNPAIRED_SHARE:.0%})"
        )

    def _seeds_for_none(self) -> str:
        """How many seeds it takes to show that a is not higher where there is no difference."""
        assert self.margin is not None and self.usual is not None

        def enough(seeds: int) -> bool:
            found = minimum_detectable(self.problems, seeds, self.seed_sd, DISCORDANT_SHARE, self.comparisons)
            return found is not None and 100 * found <= (self.margin or 0.0)

        if 100 * self.usual <= self.margin:
            return ""
        needed = bisect.bisect_left(range(_MOST_SEEDS), True, lo=self.seeds + 1, key=enough)
        if needed == _MOST_SEEDS:
            return f" With no difference at all, {_MOST_SEEDS} seeds would not show it: ask more questions."
        return f" With no difference at all it takes {needed} seeds."


def _points(share: float) -> str:
    return f"{100 * share:.1f}" if share < 1 else "100"


def sentences(comparisons: Sequence[Detectable]) -> list[str]:
    """One for each comparison, in their order; one for all of many of which the same is said."""
    alike: dict[str, list[str]] = {}
    found = [one.found for one in comparisons]
    for one, same in zip(comparisons, found, strict=True):
        alike.setdefault(same, []).append(one.pair)
    said = []
    for one, same in zip(comparisons, found, strict=True):
        pairs = alike[same]
        if len(pairs) <= MOST_APART:
            said.append(one.pair + same)
        elif one.pair == pairs[0]:
            said.append(f"{one.pair} and {len(pairs) - 1} others alike{same}")
    return said


def of_sweep(sweep: Sweep, asked: Callable[[Config], int], past: Spread | None = None) -> list[Detectable]:
    """One entry for each comparison. ``asked`` says how many questions an arm's evaluation has.

    ``past`` is what seeds differed by in the last report, where there is one. A command that ends before the
    evaluation (``until``) compares nothing.
    """
    if sweep.arms[0].config.until not in (None, "evaluate"):
        return []
    arms = {arm.name: arm for arm in sweep.arms}
    count = len(sweep.claim.comparisons)
    found = []
    for c in sweep.claim.comparisons:
        problems = asked(arms[c.a].config)
        if not problems:
            continue
        seeds = len({arm.seed for arm in sweep.arms if arm.name == c.a})
        trained = _trained(arms[c.a]) or _trained(arms[c.b])
        seed_sd = (ASSUMED_SEED_SD if past is None else past.of(c)) if trained else 0.0
        # several evaluations of one trained model are not several seeds
        models = max(_models(sweep, c.a), _models(sweep, c.b)) if trained else seeds
        usual, worst = (
            minimum_detectable(problems, min(seeds, models), seed_sd, share, count)
            for share in (DISCORDANT_SHARE, UNPAIRED_SHARE)
        )
        found.append(
            Detectable(
                a=c.a,
                b=c.b,
                mode=" against ".join(dict.fromkeys((c.mode, c.mode_b or c.mode))),
                metric=c.metric,
                problems=problems,
                seeds=seeds,
                comparisons=count,
                seed_sd=seed_sd,
                seen=trained and past is not None,
                margin=c.margin if c.expect == "a_not_greater" else None,
                usual=usual,
                worst=worst,
            )
        )
    return found


def _models(sweep: Sweep, name: str) -> int:
    """How many differently trained models an arm has."""
    return len(
        {
            tuple(getattr(arm.config.seeds, stage) for stage in TRAINING_STAGES if has_stage(arm.config, stage))
            for arm in sweep.arms
            if arm.name == name
        }
    )


def _trained(arm: Arm) -> bool:
    return any(has_stage(arm.config, stage) for stage in TRAINING_STAGES)


def _root(function: Callable[[float], float], high: float) -> float:
    """Where an increasing function crosses 0 between 0 and ``high``."""
    low = 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high


@lru_cache(maxsize=64)
def _mean_square(df: float) -> tuple[tuple[float, float], ...]:
    """Values of chi²(df)/df with their weights: a rule for expectations, even on the logarithm of the root."""
    low, high = -25.0 / df, math.log(1 + 6 / math.sqrt(df))
    step = (high - low) / (_NODES - 1)
    logs = [low + i * step for i in range(_NODES)]
    density = [math.exp(df * (x + 0.5 - math.exp(2 * x) / 2)) for x in logs]
    total = sum(density)
    return tuple((math.exp(2 * x), weight / total) for x, weight in zip(logs, density, strict=True) if weight > 0)


@lru_cache(maxsize=64)
def t_quantile(df: int, tail: float) -> float:
    """The value that Student's t with ``df`` degrees of freedom exceeds with probability ``tail``."""
    nodes = _mean_square(df)
    # none has heavier tails than df = 1, Cauchy's distribution
    cauchy = math.tan(math.pi * (0.5 - tail))
    return cauchy if df == 1 else _root(lambda t: tail - sum(w * _PHI(-t * math.sqrt(u)) for u, w in nodes), cauchy)


@lru_cache(maxsize=256)
def minimum_detectable(
    problems: int,
    seeds: int,
    seed_sd: float = ASSUMED_SEED_SD,
    discordant: float = DISCORDANT_SHARE,
    comparisons: int = 1,
) -> float | None:
    """The difference (a share) found with 80% power at the 5% level, or None where no difference can be.

    None: one seed does not tell what another would have given, unless nothing depends on seeds (``seed_sd`` = 0).
    """
    if seeds == 1 and seed_sd > 0:
        return None
    return max(_minimum(problems, seeds, seed_sd, discordant, comparisons, share) for share in QUESTION_SHARES)


def _minimum(
    problems: int, seeds: int, seed_sd: float, discordant: float, comparisons: int, question_share: float
) -> float:
    v_seed = seed_sd**2 / seeds
    v_both = (1 - question_share) * discordant / (problems * seeds)
    v_question = question_share * discordant / problems
    spread = math.sqrt(v_seed + v_question + v_both)
    tail = LEVEL / 2 / comparisons
    border = NormalDist().inv_cdf(1 - tail) ** 2 * (v_question + v_both)
    if seeds == 1:
        borders = [(1.0, math.sqrt(border) + 2 / problems)]  # McNemar's exact test lags by a question or two
    else:
        of_seeds = t_quantile(seeds - 1, tail) ** 2 * (v_seed + v_both)
        borders = [(weight, math.sqrt(border + u * of_seeds)) for u, weight in _mean_square(seeds - 1)]
    return _root(lambda d: sum(w * _PHI((d - b) / spread) for w, b in borders) - POWER, 200 * spread)
