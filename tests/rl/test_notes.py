"""What the plan says where a knob cannot matter, and that two names of one computation are one run."""

from __future__ import annotations

import pytest
from rl_world import make_config

from dsm_repro.config.model_schema import ModelSpec, TinyModelConfig
from dsm_repro.config.schema import Config
from dsm_repro.rl.stage import STAGE

INERT = "the clip range is inert at one update per exploration: the ratio is 1"
#: method -> the one it is at one update per exploration
SAME = {"gspo": "grpo", "cispo": "dapo"}


def config_of(method: str, updates: int = 1) -> Config:
    config = make_config(method)
    config.scale.models["coder"] = ModelSpec(tiny=TinyModelConfig())
    config.rl.updates_per_exploration = updates
    return config


def notes(config: Config) -> tuple[str, ...]:
    return STAGE.estimate(config).notes


@pytest.mark.parametrize("method", ["grpo", "grpo_process", "ppo", "rloo"])
def test_the_clip_range_is_said_to_be_inert_while_it_is(method: str) -> None:
    assert notes(config_of(method)) == (INERT,)
    assert notes(config_of(method, updates=2)) == ()


@pytest.mark.parametrize("method", ["rft", "online_rft"])
def test_a_method_without_ratio_and_kl_says_that_beta_is_not_used(method: str) -> None:
    assert notes(config_of(method)) == (f"rl.kl_coefficient is not used by rl={method}",)
    silent = config_of(method)
    silent.rl.kl_coefficient = 0.0
    assert notes(silent) == ()


def test_gspo_at_one_update_is_grpo_and_says_so() -> None:
    grpo, gspo = config_of("grpo"), config_of("gspo")
    assert STAGE.identity(gspo) == STAGE.identity(grpo)
    assert notes(gspo) == (
        INERT,
        "rl=gspo at rl.updates_per_exploration=1 is rl=grpo with loss_kl_coefficient=0.04, std_ddof=0, "
        "std_guard=1e-08: the gradients are equal, so such arms are one run",
    )
    gspo.rl.kl_coefficient = 0.0
    assert STAGE.identity(gspo) != STAGE.identity(grpo)


def test_cispo_at_one_update_is_dapo_without_sampling_and_penalty_and_says_so() -> None:
    dapo, cispo = config_of("dapo"), config_of("cispo")
    assert STAGE.identity(cispo) != STAGE.identity(dapo)
    dapo.rl.options = {"max_draws": 1, "overlong_share": 0.0}
    assert STAGE.identity(cispo) == STAGE.identity(dapo)
    assert notes(cispo)[1].startswith("rl=cispo at rl.updates_per_exploration=1 is rl=dapo with ")
    assert "max_draws=1, overlong_share=0.0" in notes(cispo)[1]


@pytest.mark.parametrize(("one", "other"), SAME.items())
def test_with_a_second_update_they_are_two_runs(one: str, other: str) -> None:
    first, second = config_of(one, updates=2), config_of(other, updates=2)
    if other == "dapo":
        second.rl.options = {"max_draws": 1, "overlong_share": 0.0}
    assert STAGE.identity(first) != STAGE.identity(second)
    assert not any("one run" in note for note in notes(first))


@pytest.mark.parametrize("method", ["gspo", "cispo", "dapo"])
def test_a_clip_range_counts_only_where_it_clips(method: str) -> None:
    for updates, same in ((1, True), (2, False)):
        one, other = config_of(method, updates), config_of(method, updates)
        other.rl.options = {"clip_high": 0.7}
        assert (STAGE.identity(one) == STAGE.identity(other)) == same


@pytest.mark.parametrize(
    ("method", "knob"),
    [("dr_grpo", "kl_coefficient"), ("dapo", "kl_coefficient"), ("rloo", "std_guard"), ("rft", "clip_epsilon")],
)
def test_a_knob_that_a_method_does_not_read_is_not_in_its_identity(method: str, knob: str) -> None:
    one, other = config_of(method, updates=2), config_of(method, updates=2)
    setattr(other.rl, knob, 0.123)
    assert STAGE.identity(one) == STAGE.identity(other)
