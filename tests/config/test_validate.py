"""Each impossible combination is refused before compute, in one line that names key, value and fix."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from dsm_repro.config.compose import compose, expand
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.files import missing_files
from dsm_repro.config.paths import reports_dir, store_dir
from dsm_repro.config.schema import Config
from dsm_repro.config.validate import faults, validate, validate_sweep


@pytest.fixture(scope="module")
def sound() -> Config:
    return compose([])


def changed(sound: Config, changes: dict[str, object]) -> Config:
    config = copy.deepcopy(sound)
    for path, value in changes.items():
        *parents, leaf = path.split(".")
        node: Any = config
        for name in parents:
            node = node[name] if isinstance(node, dict) else getattr(node, name)
        assert hasattr(node, leaf), path
        setattr(node, leaf, value)
    return config


def test_default_config_has_no_fault(sound: Config) -> None:
    validate(sound)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mix.weights": {"math": 0.5, "code": 0.4}}, ["mix.weights", "sum to 0.9"]),
        ({"mix.weights": {"math": 1.5, "code": -0.5}}, ["mix.weights.code=-0.5"]),
        ({"mix.weights": {"unheard_of": 1.0}}, ["mix.weights.unheard_of", "it has"]),
        ({"until": "later"}, ["until=later", "corpus"]),
        ({"until": "rl", "rl.method": "none"}, ["until=rl: this arm has no such stage"]),
        ({"sft.format": "prose"}, ["sft.format=prose", "cot, pot, tool, both, hybrid, given, none"]),
        ({"sft.format": "none", "pretrain.enabled": False}, ["rl.method=grpo", "rl=none"]),
        ({"rl.budget.unit": "hours"}, ["rl.budget.unit=hours", "flops, tokens, seconds, steps"]),
        ({"rl.budget.amount": 0}, ["rl.budget.amount=0"]),
        ({"rl.budget.unit": "steps", "rl.budget.amount": 0.5}, ["rl.budget.amount=0.5", "Set rl.budget.amount=1"]),
        ({"rl.budget.unit": "steps", "rl.budget.amount": 2.5}, ["rl.budget.amount=2.5", "whole", "amount=2."]),
        (
            {"rl.method": "ppo", "rl.options": {}, "rl.group_size": 1, "rl.questions_per_step": 1},
            ["rl.group_size=1", "rl.questions_per_step=1", "two or more"],
        ),
        ({"rl.questions": 3, "rl.questions_per_step": 16}, ["rl.questions=3", "rl.questions_per_step=16"]),
        ({"rl.temperature": 0}, ["rl.temperature=0"]),
        ({"evaluation.temperature": -1}, ["evaluation.temperature=-1"]),
        ({"evaluation.top_p": 0}, ["evaluation.top_p=0"]),
        ({"evaluation.modes": ["cot", "prose"]}, ["evaluation.modes=prose", "cot, pot, tool, hybrid, router"]),
        ({"evaluation.modes": []}, ["evaluation.modes=[]"]),
        ({"base.role": "unheard_of"}, ["base.role=unheard_of", "coder"]),
        ({"scale.models.coder.tiny.heads": 7}, ["tiny.hidden_size", "tiny.heads=7"]),
        ({"scale.models.coder.tiny.vocab_size": 100}, ["tiny.vocab_size=100", "260"]),
        ({"pretrain.sequence_length": 4096, "pretrain.batch_tokens": 8192}, ["sequence_length=4096", "context_length"]),
        ({"pretrain.decay_to": [0.3]}, ["pretrain.decay_at", "pretrain.decay_to"]),
        ({"pretrain.decay_at": [0.9, 0.8]}, ["pretrain.decay_at=[0.9, 0.8]", "increasing"]),
        ({"pretrain.adam_beta2": 1.0}, ["pretrain.adam_beta2=1.0"]),
        ({"problems.train_path": "x.jsonl"}, ["problems.train_path=x.jsonl: not read", "Set problems.source=jsonl"]),
        ({"problems.test_path": "x.jsonl"}, ["problems.test_path=x.jsonl: not read", "Set problems.source=jsonl"]),
        ({"problems.rl_path": "x.jsonl"}, ["problems.rl_path=x.jsonl: not read", "Set problems.source=jsonl"]),
        ({"corpus.web.leak_share": 1.5}, ["corpus.web.leak_share=1.5"]),
        ({"corpus.reader": "pdf"}, ["corpus.reader=pdf", "warc"]),
        ({"corpus.reader": "warc"}, ["corpus.paths=[]", "corpus.reader=warc"]),
        ({"corpus.decontamination.min_ngram": 11}, ["min_ngram=11", "ngram=10"]),
        ({"sandbox.backend": "docker"}, ["sandbox.backend=docker", "bwrap"]),
        ({"sandbox.backend": "subprocess"}, ["sandbox.backend=subprocess", "allow_unsandboxed"]),
        ({"reward.correct": 0.0}, ["reward.correct=0.0", "reward.incorrect"]),
        ({"execution.workers": 0}, ["execution.workers=0"]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_impossible_value_is_one_line(sound: Config, changes: dict[str, object], said: list[str]) -> None:
    found = faults(changed(sound, changes))
    assert len(found) == 1, found
    assert "\n" not in found[0]
    for part in said:
        assert part in found[0], found[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corpus.reader": "warc", "corpus.paths": ["crawl/*.gz"]}, ["corpus.paths=crawl/*.gz", "no such file"]),
        ({"scale.models.coder.path": "./weights"}, ["scale.models.coder.path=./weights", "no such folder"]),
        ({"scale.models.coder.path": "/no/such/model"}, ["scale.models.coder.path=/no/such/model"]),
        ({"problems.source": "jsonl", "problems.train_path": __file__}, ["problems.test_path: no file given"]),
        (
            {"problems.source": "jsonl", "problems.test_path": __file__, "problems.train_path": "data/mine.jsonl"},
            ["problems.train_path=data/mine.jsonl: no such file", "Give a file; docs/data.md"],
        ),
        (
            {"problems.source": "jsonl", "problems.test_path": __file__, "problems.train_path": "d/gsm8k/train.jsonl"},
            ["published openai/gsm8k --name main --split train --out d/gsm8k/train.jsonl)", "DSM_DATA"],
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_missing_file_is_named(sound: Config, changes: dict[str, object], said: list[str]) -> None:
    config = changed(sound, changes)
    assert faults(config) == []
    (message,) = missing_files(config)
    assert all(part in message for part in said), message
    with pytest.raises(ConfigError):
        validate(config)


def test_hub_id_is_not_taken_for_a_folder(sound: Config) -> None:
    validate(changed(sound, {"scale.models.coder.path": "deepseek-ai/deepseek-coder-1.3b-base"}))


def test_glob_of_corpus_files_that_match_is_accepted(sound: Config, tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").touch()
    validate(changed(sound, {"corpus.reader": "warc", "corpus.paths": [str(tmp_path / "*.warc.gz")]}))


def test_only_curating_asks_for_no_model(sound: Config) -> None:
    validate(changed(sound, {"until": "corpus", "base.role": "unheard_of", "rl.group_size": 0}))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=-1"], "seed=-1: a seed must lie between 0 and 2**32 - 1. Give another number."),
        (["seeds.rl=99999999999"], "seeds.rl=99999999999: a seed must lie between 0 and 2**32 - 1."),
        (["seed=0,4294967296"], "seed=4294967296: "),
        (["sweep=rl_algorithm", "sweep.replicates.seeds=[0,-1]"], "sweep.replicates.seeds=-1: "),
        (["paths.store=a,b"], "paths.store: several values"),
        (["execution=serial,local"], "execution: several values"),
        (["execution.workers=1,2", "seed=0,1"], "execution.workers: several values"),
        (["sweep=rl_algorithm", "+sweep.arms.far=['rl=grpo','paths.store=there']"], "arms sft and far have different"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_fault_that_no_single_arm_shows_is_one_message(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        validate_sweep(expand(words))
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_the_seeds_at_the_borders_are_taken() -> None:
    validate_sweep(expand(["seed=0,4294967295"]))


@pytest.mark.parametrize(("key", "variable"), [("store", "DSM_STORE"), ("reports", "DSM_REPORTS")])
def test_an_empty_folder_is_not_the_current_one(key: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    with pytest.raises(ConfigError, match=rf"paths\.{key}='': names no folder.* unset {variable}"):
        {"store": store_dir, "reports": reports_dir}[key](compose([]))


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".hidden", "", "two words"])
def test_a_sweep_is_named_as_a_folder_can_be(name: str) -> None:
    with pytest.raises(ConfigError, match="a folder of the store and of the reports gets this name"):
        validate_sweep(expand(["sweep=rl_algorithm", f"sweep.name='{name}'"]))
    validate_sweep(expand(["sweep=rl_algorithm", "sweep.name=mine-2.v1_x"]))
