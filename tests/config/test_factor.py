"""How far the declaration of a factor reaches, and what the factor check looks into."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import pytest

from dsm_repro.config.compose import Sweep, expand
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.factor import check_factor, under
from dsm_repro.config.schema import Config


@functools.cache
def flagship() -> Sweep:
    return expand(["sweep=rl_algorithm", "sweep.replicates.seeds=[0]"])


def with_changed(index: int, change: Callable[[Config], Config]) -> Sweep:
    """The flagship with one arm changed."""
    arms = list(flagship().arms)
    arms[index] = replace(arms[index], config=change(arms[index].config))
    return replace(flagship(), arms=tuple(arms))


def test_a_mapping_in_a_list_is_seen() -> None:
    def weighted(weight: int) -> Callable[[Config], Config]:
        return lambda config: replace(config, published={"sources": [{"path": "a.jsonl", "weight": weight}]})

    same = replace(flagship(), arms=tuple(replace(a, config=weighted(1)(a.config)) for a in flagship().arms))
    check_factor(same)
    other = replace(same.arms[-1], config=weighted(2)(same.arms[-1].config))
    with pytest.raises(ConfigError, match=r"published\.sources: .*'weight': 1.* against .*'weight': 2"):
        check_factor(replace(same, arms=(*same.arms[:-1], other)))


@pytest.mark.parametrize("index", [1, 2])
def test_a_changed_arm_is_named_wherever_it_stands(index: int) -> None:
    sweep = with_changed(index, lambda config: replace(config, prompts="release"))
    with pytest.raises(ConfigError, match=f"arms {sweep.arms[0].name} and {sweep.arms[index].name} differ"):
        check_factor(sweep)


def test_how_the_work_is_done_is_no_difference() -> None:
    check_factor(with_changed(1, lambda c: replace(c, execution=replace(c.execution, micro_batch=3, device="cpu"))))


def test_a_declaration_reaches_what_lies_beneath_it_and_no_namesake() -> None:
    assert under("rl.options.rounds", ["rl"]) and under("rl", ["rl"]) and under("a.b", [" a.b "])
    assert not under("rl_like", ["rl"]) and not under("reward.rl", ["rl"]) and not under("rl", ["rl.options"])
    assert not under("rl", ["", " "])
