"""Arms of a plain multirun: which are set beside each other, and what the report calls them."""

from __future__ import annotations

import pytest

from dsm_repro.config.compose import expand
from dsm_repro.config.factor import differing
from dsm_repro.config.validate import validate_sweep


def pairs(*words: str) -> list[tuple[str, str, str]]:
    sweep = expand(words)
    validate_sweep(sweep)
    assert all(c.expect == "none" for c in sweep.claim.comparisons)
    return [(c.a, c.b, c.mode) for c in sweep.claim.comparisons]


def test_further_values_are_set_beside_the_first_at_every_seed() -> None:
    assert pairs("rl=ppo,grpo,rloo", "seed=0,1") == [("rl=grpo", "rl=ppo", "cot"), ("rl=rloo", "rl=ppo", "cot")]


def test_arms_that_differ_in_two_values_are_not_set_beside_each_other() -> None:
    sweep = expand(["rl.kl_coefficient=0,0.1", "rl.learning_rate=1e-4,2e-4,3e-4"])
    configs = {arm.name: arm.config for arm in sweep.arms}
    differences = [differing(configs[c.a], configs[c.b]) for c in sweep.claim.comparisons]
    # 1 further value at each of 3 rates, and 2 further rates at each of 2 values
    assert [list(found) for found in differences] == [["rl.kl_coefficient"]] * 3 + [["rl.learning_rate"]] * 4
    assert len({(c.a, c.b) for c in sweep.claim.comparisons}) == 7


@pytest.mark.parametrize("words", [["rl=grpo"], ["seed=0,1,2"], ["rl=grpo,grpo", "seed=0,1"]])
def test_one_arm_is_set_beside_nothing(words: list[str]) -> None:
    assert pairs(*words) == []
    assert expand(words).claim.statement == ""


def test_modes_that_both_arms_are_evaluated_in() -> None:
    words = ("sft.format=both", "rl=none", "evaluation.modes=[cot],[cot,pot],[pot]")
    assert pairs(*words) == [("evaluation.modes=[cot,pot]", "evaluation.modes=[cot]", "cot")]
    (why,) = expand(words).claim.caveats
    assert why.startswith("evaluation.modes=[pot] and evaluation.modes=[cot] are not set beside each other")
    assert [mode for _, _, mode in pairs("sft=both", "mix=a,b", "evaluation.modes=[cot,pot]")] == ["cot", "pot"]


def test_title_says_the_words_that_tell_the_arms() -> None:
    sweep = expand(["rl=grpo,rloo", "paths.store=elsewhere", "execution.workers=1", "seed=0,1"])
    assert sweep.claim.title == "rl=grpo,rloo seed=0,1"
    assert sweep.name == expand(["seed=0,1", "rl=grpo,rloo"]).name
