"""Whether the training stages can be shared as ``execution`` asks: said before anything runs."""

from __future__ import annotations

import pytest

from dsm_repro.config.compose import compose
from dsm_repro.config.files import missing_files
from dsm_repro.config.validate import faults

SHARDED = ["execution=fsdp", "until=sft"]


@pytest.mark.parametrize(
    "words",
    [
        ["execution=ddp", "execution.processes=2", "scale=smoke"],
        ["execution=ddp", "execution.processes=8", "scale=gpu"],
        ["execution=nodes", "execution.nodes=16", "execution.processes=8", "scale=paper", "rl.questions_per_step=128"],
        [*SHARDED, "execution.processes=8", "scale=paper"],
        ["execution=zero1", "execution.processes=8", "scale=paper"],
        ["execution=zero1", "tuning=lora"],
        # rows are filled up, whatever their number
        ["execution=ddp", "execution.processes=7", "rl=none", "scale=smoke"],
        # preference pairs are learned from in one process
        ["execution=ddp", "execution.processes=2", "rl=dpo", "rl.questions_per_step=5", "rl.questions=100"],
    ],
    ids=" ".join,
)
def test_what_can_be_shared(words: list[str]) -> None:
    assert faults(compose(words)) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["execution.processes=0"], "execution.processes=0: must be at least 1."),
        (["execution.nodes=0"], "execution.nodes=0: must be at least 1."),
        (["execution=nodes", "execution.node_command=[]"], "Set execution.node_command"),
        (["execution.sharding=fsdp2"], "one process has nothing to share"),
        ([*SHARDED, "execution.sharding=megatron"], "execution.sharding=megatron: unknown. Use one of none, zero1"),
        (["execution=fsdp"], "Run as far as until=sft with it"),
        (["execution.sharding=zero1"], "one process has nothing to share"),
        (["execution=ddp", "rl.questions_per_step=5"], "rl.questions_per_step=5: cannot be shared equally by 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_is_said_with_the_fix(words: list[str], said: str) -> None:
    assert any(said in message for message in faults(compose(["scale=smoke", *words])))


def test_a_library_that_lacks_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(["execution=zero3", "until=sft"])
    monkeypatch.setattr("dsm_repro.config.files.find_spec", lambda name: None)
    assert any("zero3" in m and "pip install 'dsm-repro[deepspeed]'" in m for m in missing_files(config))


def test_the_nodes_are_named_once() -> None:
    config = compose(["execution=nodes", "execution.nodes=4"])
    assert config.execution.node_command == ["srun", "--nodes=4", "--ntasks-per-node=1"]
