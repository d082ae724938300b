"""The sweeps on data: at every scale each arm is an experiment of its own, and what they share is one stage."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import yaml

from dsm_repro.config.compose import Arm, compose, expand
from dsm_repro.config.factor import check_factor
from dsm_repro.config.paths import conf_dir, sweep_names, sweeps_root
from dsm_repro.config.resolve import resolve_source, text_phases, training_tokens
from dsm_repro.config.schema import Config
from dsm_repro.config.validate import validate_sweep
from dsm_repro.finetuning import stage as finetuning
from dsm_repro.pretraining import stage as pretraining
from dsm_repro.reporting.ledger import lookup

#: smoke has the sources of mini
SCALES = ("mini", "gpu", "paper")
#: where whole sweeps are composed: one scale of the miniature, one of published data
COMPOSED = ("mini", "paper")
DATA_SWEEPS = ("corpus_source", "corpus_size", "arxiv")
MIXES = sorted(path.stem for path in (conf_dir() / "mix").glob("*.yaml"))


@functools.cache
def arms(sweep: str, scale: str) -> dict[str, Arm]:
    expanded = expand([f"sweep={sweep}", f"scale={scale}", "sweep.replicates.seeds=[0]"])
    validate_sweep(expanded)
    check_factor(expanded)
    return {arm.name: arm for arm in expanded.arms}


def claim(sweep: str) -> dict[str, Any]:
    return dict(yaml.safe_load((sweeps_root() / "sweeps" / f"{sweep}.yaml").read_text())["sweep"])


def trained_on(config: Config) -> Any:
    """What decides the pre-trained model beside the corpus: None for no training."""
    role = config.base.role
    return (role, pretraining.identity(config) if config.pretrain.enabled else None)


@pytest.mark.parametrize("scale", COMPOSED)
@pytest.mark.parametrize("sweep", DATA_SWEEPS)
def test_no_two_arms_are_the_same_experiment(sweep: str, scale: str) -> None:
    made = [trained_on(arm.config) for arm in arms(sweep, scale).values()]
    assert not [a for i, a in enumerate(made) if a in made[i + 1 :]]


@pytest.mark.parametrize("sweep", DATA_SWEEPS)
def test_arms_train_on_equal_tokens_and_fine_tune_alike(sweep: str) -> None:
    configs = [arm.config for arm in arms(sweep, "mini").values()]
    assert len({(c.pretrain.tokens, c.pretrain.batch_tokens, c.pretrain.max_epochs) for c in configs}) == 1
    assert all(c.sft == configs[0].sft and c.evaluation == configs[0].evaluation for c in configs)
    assert {c.rl.method for c in configs} == {"none"}


@pytest.mark.parametrize("name", sweep_names())
def test_every_reference_of_a_sweep_is_in_the_ledger(name: str) -> None:
    references = claim(name)["reference"]
    assert len(lookup(references)) == len(references)


@pytest.mark.parametrize("name", sweep_names())
def test_a_sweep_that_names_a_table_or_figure_of_the_paper_refers_to_its_entries(name: str) -> None:
    text = (sweeps_root() / "sweeps" / f"{name}.yaml").read_text()
    assert claim(name)["reference"] or not re.search(r"\b(Table|Tables|Fig\.|Figure) \d", text)


@pytest.mark.parametrize("scale", SCALES)
def test_every_mix_has_its_sources_at_every_scale(scale: str) -> None:
    config = compose([f"scale={scale}"])
    for name in MIXES:
        mix = yaml.safe_load((conf_dir() / "mix" / f"{name}.yaml").read_text())
        assert mix["name"] == name
        assert all(resolve_source(config, source).kind for source in mix["weights"])


@pytest.mark.parametrize("scale", SCALES)
def test_no_two_sources_of_a_scale_are_the_same_data(scale: str) -> None:
    sources = [(source.kind, source.name) for source in compose([f"scale={scale}"]).scale.sources.values()]
    assert len(set(sources)) == len(sources)


def test_sweeps_share_the_runs_that_are_the_same() -> None:
    source, arxiv = arms("corpus_source", "mini"), arms("arxiv", "mini")
    for a, b in (
        (source["curated"], arxiv["llm_curated"]),
        (source["mathpile"], arxiv["llm_mathpile"]),
        (source["none"], arxiv["llm_none"]),
    ):
        assert trained_on(a.config) == trained_on(b.config)
        assert finetuning.identity(a.config) == finetuning.identity(b.config)
        assert a.config.corpus == b.config.corpus


def test_arms_of_one_ranking_share_the_corpus() -> None:
    for scale in COMPOSED:
        corpora = [arm.config.corpus for arm in arms("corpus_size", scale).values()]
        assert all(corpus == corpora[0] for corpus in corpora)
        assert all("corpus" in pretraining.parents(arm.config) for arm in arms("corpus_size", scale).values())


def test_sizes_are_the_top_40_80_120_and_160_billion_tokens() -> None:
    made = [arm.config for arm in arms("corpus_size", "paper").values()]
    tokens = [config.mix.math_tokens_factor * config.corpus.top_tokens for config in made]
    assert tokens == pytest.approx([40e9, 80e9, 120e9, 160e9], rel=2e-4)


def test_proof_pile_is_mixed_two_to_four_to_one() -> None:
    weights = compose(["mix=proofpile2"]).mix.weights
    code = weights["algebraic_stack"]
    assert weights["arxiv"] / code == pytest.approx(2, abs=1e-4)
    assert weights["openwebmath"] / code == pytest.approx(4, abs=1e-4)


def test_no_comparison_crosses_the_starting_models() -> None:
    for comparison in claim("arxiv")["comparisons"]:
        assert comparison["a"].partition("_")[0] == comparison["b"].partition("_")[0]


@pytest.mark.parametrize("scale", COMPOSED)
def test_code_training_has_the_papers_tokens(scale: str) -> None:
    """400B of code or general text and 150B of mathematics, whatever 150B is at the scale."""
    read = {
        name: {section: training_tokens(phase) / arm.config.pretrain.tokens for section, phase in phases}
        for name, arm in arms("code_training", scale).items()
        for phases in [text_phases(arm.config)]
    }
    first, mixed = pytest.approx(400 / 150), pytest.approx(550 / 150)
    assert read == {
        "none": {}, "general": {"prior": first}, "code": {"prior": first}, "math": {"mix": 1.0},
        "general_math": {"prior": first, "mix": 1.0}, "code_math": {"prior": first, "mix": 1.0},
        "mixed": {"mix": mixed},
    }  # fmt: skip
    weights = arms("code_training", scale)["mixed"].config.mix.weights
    assert weights["math"] * 550 == pytest.approx(150)


@pytest.mark.parametrize("arm", ["a", "b", "c"])
def test_a_part_of_a_source_without_scores_is_said_to_be_the_same_pages(arm: str) -> None:
    """At the scales of published models the mathematics is a public data set: a caveat of the sweep, and a note."""
    ranked, public = (arms("data_mix", scale)[arm].config for scale in ("mini", "gpu"))
    note = f"mix.math_tokens_factor={public.mix.math_tokens_factor:g} has no effect with scale.sources.math.kind=hf"
    assert any(sentence.startswith(note) for sentence in pretraining.estimate(public).notes) == (arm != "a")
    assert not any("math_tokens_factor" in sentence for sentence in pretraining.estimate(ranked).notes)
    assert any("without scores" in caveat for caveat in claim("data_mix")["caveats"])
