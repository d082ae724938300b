"""Which methods the policy-gradient trainer runs, and a reward that serves them all."""

from __future__ import annotations

from rl_world import length_reward, make_config

from dsm_repro.rl import estimators
from dsm_repro.rl.estimators import Estimator, Steps
from dsm_repro.rl.rewards import Completions, Rewards


def estimator_of(method: str) -> Estimator:
    return estimators.build(make_config(method).rl)


#: every method but those that another module trains (dpo)
TRAINED_HERE = [name for name in estimators.names() if estimator_of(name).runner == "dsm_repro.rl.run"]


def steps_reward(completions: Completions) -> Rewards:
    """``length_reward`` with more of them right; a step ends at the first and one at the last token of each."""
    whole = length_reward(completions)
    lengths = completions.batch.lengths.tolist()
    ends = [[0, length - 1] if length > 1 else [0] for length in lengths]
    steps = Steps([[value % 3, value][: len(end)] for value, end in zip(whole.values, ends, strict=True)], ends)
    return Rewards(whole.values, whole.counts, [value > 1 for value in whole.values], steps)
