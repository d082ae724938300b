"""From words to arms: every YAML composes, and a wrong word is one clear line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from dsm_repro.config.compose import compose, expand, register_schema, search_path_override
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.factor import check_factor, differing
from dsm_repro.config.files import missing_files
from dsm_repro.config.paths import conf_dir, sweep_names, sweeps_root
from dsm_repro.config.schema import Config
from dsm_repro.config.validate import faults, validate_sweep


def rows() -> list[list[str]]:
    """Every level once: the first of every group together, then the second of every group that has one, ..."""
    groups: dict[str, list[str]] = {}
    for path in sorted(conf_dir().glob("*/*.yaml")):
        groups.setdefault(path.parent.name, []).append(f"{path.parent.name}={path.stem}")
    return [[word for word in row if word] for row in zip_longest(*groups.values())]


@pytest.mark.parametrize("words", rows(), ids=lambda words: " ".join(words)[:80])
def test_every_level_composes_and_can_work(words: list[str], tmp_path: Path) -> None:
    if any(word.startswith("corpus=") and word != "corpus=miniature" for word in words):
        (tmp_path / "pages").touch()
        words = [*words, f"corpus.paths=[{tmp_path / 'pages'}]", f"corpus.seed_paths=[{tmp_path / 'pages'}]"]
    if "execution=fsdp" in words or "execution=zero3" in words:
        # neither for reinforcement learning nor for adapters
        words = [*(word for word in words if not word.startswith("tuning=")), "until=sft"]
    config = compose(words)
    assert faults(config) == []
    # what only the user has, and optional libraries, are asked for by name, and by name only
    assert all("no such file" in m or "pip install" in m for m in missing_files(config))


@pytest.mark.parametrize("name", sweep_names())
def test_every_sweep_expands_into_valid_arms_that_differ_in_the_factor_only(name: str) -> None:
    sweep = expand([f"sweep={name}"])
    validate_sweep(sweep)
    check_factor(sweep)
    assert sweep.name == name
    assert len(sweep.arms) == len(sweep.claim.arms) * len(sweep.claim.replicates.seeds)
    assert all(arm.config.sweep is None for arm in sweep.arms)
    assert sweep.claim.statement
    assert sweep.claim.comparisons


@pytest.mark.parametrize("scale", ["smoke", "gpu"])
def test_flagship_composes_at_other_scales(scale: str) -> None:
    sweep = expand(["sweep=rl_algorithm", f"scale={scale}"])
    validate_sweep(sweep)
    assert {arm.config.scale.name for arm in sweep.arms} == {scale}


def test_every_yaml_begins_with_the_command_that_uses_it() -> None:
    files = [*conf_dir().rglob("*.yaml"), *(sweeps_root() / "sweeps").glob("*.yaml")]
    assert len(files) > 20
    for path in files:
        first, second = path.read_text().splitlines()[:2]
        # Hydra reads a package directive only from the first line
        assert not second.startswith("# @package"), path
        assert (second if first.startswith("# @package") else first).startswith("# dsm "), path


@pytest.mark.parametrize(
    ("words", "pretrain", "others"),
    [
        (["scale=smoke"], [0, 0, 0], [0, 1, 2]),
        # what a scale can afford
        (["scale=mini"], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        (["scale=mini", "sweep.replicates.from_stage=sft", "sweep.replicates.seeds=[0,3]"], [0, 0], [0, 3]),
    ],
)
def test_replicates_reseed_from_their_stage_on_and_share_the_ancestors(
    words: list[str], pretrain: list[int], others: list[int]
) -> None:
    sweep = expand(["sweep=rl_algorithm", *words])
    seeds = [arm.config.seeds for arm in sweep.arms if arm.name == "grpo"]
    assert [s.rl for s in seeds] == [s.sft for s in seeds] == [s.evaluate for s in seeds] == others
    assert [s.pretrain for s in seeds] == pretrain
    assert {s.base for s in seeds} == {0}


def test_users_override_reaches_every_arm_and_wins_over_the_arms_own() -> None:
    sweep = expand(["sweep=rl_algorithm", "evaluation.problems=7", "sweep.replicates.seeds=[5]"])
    assert {(arm.seed, arm.config.evaluation.problems) for arm in sweep.arms} == {(5, 7)}
    assert len(sweep.arms) == 3


def test_override_of_the_factor_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rl=ppo: sweep=rl_algorithm varies rl between its arms"):
        expand(["sweep=rl_algorithm", "rl=ppo"])


@pytest.mark.parametrize(
    ("name", "word", "how"),
    [
        ("base_model", "base.role=llm", "base.role is 'coder' in arm coder, 'llm' in arm llm"),
        ("reasoning_format", "sft.format=cot", "sft.format is 'cot' in arm cot, 'pot' in arm pot"),
        ("reasoning_format", "sft=pot", "sft.format is 'cot' in arm cot, 'pot' in arm pot"),
        ("rl_algorithm", "rl.method=ppo", "rl.method is 'none' in arm sft, 'ppo' in arm ppo"),
        ("rl_family", "rl.method=online_rft", "rl.method is 'none' in arm sft, 'rft' in arm rft"),
        ("hybrid", "++evaluation.modes=[cot]", "arm model sets evaluation.modes=[hybrid]"),
    ],
)
def test_override_of_a_leaf_in_which_the_arms_differ_is_refused(name: str, word: str, how: str) -> None:
    """The arms set levels, and what is in a level is the factor too: they would run under false labels."""
    with pytest.raises(ConfigError, match=rf"^{re.escape(word)}: sweep={name} varies .*\({re.escape(how)}\)"):
        expand([f"sweep={name}", "rl.top_p=0.9", word])


@pytest.mark.parametrize(
    "words", [["sweep=rl_family", "rl.group_size=8"], ["sweep=hybrid", "evaluation.problems=4"]], ids=" ".join
)
def test_override_beside_what_the_arms_differ_in_reaches_them_all(words: list[str]) -> None:
    key = words[1].partition("=")
    section, leaf = key[0].split(".")
    assert {getattr(getattr(arm.config, section), leaf) for arm in expand(words).arms} == {int(key[2])}


def test_a_value_that_the_levels_of_the_factor_leave_to_the_user_may_be_given(tmp_path: Path) -> None:
    arms = ["+sweep.arms.warc=['corpus=warc']", "+sweep.arms.html=['corpus=html']"]
    sweep = ["sweep=rl_algorithm", "sweep.factor='rl,corpus'", *arms, f"corpus.paths=[{tmp_path}]"]
    assert {arm.config.corpus.paths[0] for arm in expand(sweep).arms} == {str(tmp_path)}


def of_hydra(words: Sequence[str]) -> Config:
    """What Hydra alone composes."""
    register_schema()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = OmegaConf.to_object(hydra_compose("config", [*words, search_path_override()]))
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    "words",
    [
        ["rl=ppo", "rl.top_p=0.5", "++scale.models.coder.path=here", "hydra/launcher=basic"],
        ["+sweeps=data_mix", "mix=c", "+sweep.arms.longer=['rl=grpo']", "~scale.models.llama2", "seeds.sft=4"],
    ],
    ids=["values", "sweep"],
)
def test_a_composition_is_hydras_own(words: list[str]) -> None:
    assert compose(words) == of_hydra(words)


@pytest.mark.parametrize(
    "words", [["rl=none,ppo", "seed=0,3"], ["seeds.sft=4", "seed=0,3"], ["seeds.rl=0,3", "sft=pot"]], ids=" ".join
)
def test_every_arm_of_a_multirun_is_what_hydra_composes(words: list[str]) -> None:
    arms = expand(words).arms
    assert len({arm.config.seeds.rl for arm in arms}) == 2
    assert all(arm.config == of_hydra(arm.overrides) for arm in arms)


def test_a_level_that_has_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(conf_dir(), tmp_path / "conf")
    for module in ("compose", "composition"):
        monkeypatch.setattr(f"dsm_repro.config.{module}.conf_dir", lambda: tmp_path / "conf")
    before = compose(["rl=ppo"])
    with (tmp_path / "conf" / "rl" / "ppo.yaml").open("a") as f:
        f.write("top_p: 0.25\n")
    assert before.rl.top_p != compose(["rl=ppo"]).rl.top_p == 0.25


HEAD = """# @package _global_
hydra: {mode: MULTIRUN}
sweep:
  name: mine
  factor: rl
  arms: {a: [rl=grpo], b: [rl=ppo]}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "  caveats:\n    - a word: and more: of it\n",
            r"sweeps/mine.yaml, line 8, column 23: not YAML .*Quote",
        ),
        (HEAD + "  caveats: [never closed\n", r"sweeps/mine.yaml, line 8, column 1: not YAML .*close"),
        (HEAD + "  comparisons: [{a: a, b: b, expected: none}]\n", r"expected: no such key. Did you mean .*expect\?"),
        (HEAD + "  captions: [one]\n", r"sweep.captions: no such key"),
        (HEAD.split("\n", 1)[1], r"sweeps/mine.yaml: does not begin with '# @package _global_'"),
        ("", r"sweeps/mine.yaml: does not begin with '# @package _global_'"),
        (HEAD + "  title: caf\xe9\n", r"sweeps/mine.yaml: not UTF-8 \(byte 0xe9 at \d+\)"),
    ],
)
def test_a_slip_in_a_sweep_of_ones_own_is_one_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sweeps").mkdir()
    for module in ("compose", "composition", "paths"):
        monkeypatch.setattr(f"dsm_repro.config.{module}.sweeps_root", lambda: tmp_path)
    file = tmp_path / "sweeps" / "mine.yaml"
    file.write_text(HEAD)
    validate_sweep(expand(["sweep=mine"]))
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=said) as error:
        expand(["sweep=mine"])
    assert len(str(error.value).splitlines()) == 1


def test_multirun_is_the_cross_product_and_seeds_are_replicates() -> None:
    sweep = expand(["rl=grpo,ppo", "sft.steps=5,6", "seed=0,1"])
    assert len(sweep.arms) == 8
    assert sweep.first_of_each()[1].name == "rl=grpo,sft.steps=6"
    assert sweep.claim.factor == "rl,sft.steps"
    assert sweep.claim.replicates.seeds == [0, 1]
    assert {arm.config.seeds.corpus for arm in sweep.arms} == {0, 1}
    assert differing(sweep.arms[0].config, sweep.arms[1].config) == {}


def test_same_command_has_the_same_name_wherever_it_runs() -> None:
    a, b = expand(["rl=none", "execution.workers=1"]), expand(["paths.store=x", "rl=none"])
    assert a.name == b.name != expand(["rl=ppo"]).name
    assert expand([]).name == "run"


def test_factor_check_names_the_undeclared_keys_and_both_values() -> None:
    sweep = expand(["sweep=rl_algorithm", "+sweep.arms.longer=['rl=grpo','sft.steps=7']"])
    with pytest.raises(
        ConfigError, match=r"arms sft and longer differ outside the factor rl: sft\.steps: \d+ against 7"
    ):
        check_factor(sweep)
    declared = expand(
        ["sweep=rl_algorithm", "+sweep.arms.longer=['rl=grpo','sft.steps=7']", "sweep.consequences=[sft.steps]"]
    )
    check_factor(declared)


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ("evaluation.tasks=[gsm8k]", "evaluation.tasks"),
        ("scale.models.coder.tiny.vocab_size=77", "scale.models.coder.tiny.vocab_size"),
        ("scale.name=other", "scale.name"),
        ("seeds.base=9", "seeds.base"),
    ],
    ids=["list", "dict", "scale", "seed"],
)
def test_factor_check_refuses_what_an_arm_changes_beside_the_factor(own: str, path: str) -> None:
    sweep = expand(["sweep=rl_algorithm", f"+sweep.arms.other=['rl=grpo','{own}']"])
    with pytest.raises(ConfigError, match=rf"arms sft and other differ outside the factor rl: {re.escape(path)}: "):
        check_factor(sweep)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rl=gpro"], ["rl=gpro: no such level", "grpo", "ppo"]),
        (["rl.group_sise=4"], ["rl.group_sise: no such key", "Did you mean rl.group_size?"]),
        (["nonsense=4"], ["nonsense: no such key"]),
        (["+nonsense=4"], ["nonsense: no such key. The configuration has: base, "]),
        (["++rl.kl_coeff=0.1"], ["rl.kl_coeff: no such key. Did you mean rl.kl_coefficient?"]),
        (["+rl.budget={unit: flops, ammount: 3}"], ["rl.budget.ammount: no such key. Did you mean rl.budget.amount?"]),
        (["++scale.models.coder.pathh=here"], ["scale.models.coder.pathh: no such key", "scale.models.coder.path?"]),
        (["+rl.learning_rate.warmup=3"], ["rl.learning_rate.warmup: no such key"]),
        (["sweep=rl_algorithm", "+sweep.arms.other=['+rl.lrr=1']"], ["rl.lrr: no such key"]),
        (["rl=dapo", "rl.options.cliphigh=0.3"], ["rl.options.cliphigh: no such key", "rl.options has: clip_high, "]),
        (["rl.options.cliphigh=0.3"], ["rl.options.cliphigh: no such key. rl.options is empty here."]),
        (["evaluation.tasks=gsm8k"], ["evaluation.tasks is a list. Write evaluation.tasks=[gsm8k]."]),
        (["pretrain.decay_at=0.8"], ["Write pretrain.decay_at=[0.8]."]),
        (["seeds=[0,1]"], ["-m seed=0,1", "sweep.replicates.seeds=[0,1]"]),
        (["rl.budget=4"], ["rl.budget=4: rl.budget is a section and has: amount, unit."]),
        (["mix.weights=[1]"], ["mix.weights=[1]: mix.weights is a section. Set mix.weights.NAME=VALUE."]),
        (["rl=3"], ["rl=3: no such level", "grpo, grpo_iterative"]),
        (["sweep.replicates.seeds=[0]"], ["sweep.replicates.seeds=[0]: sweep is not set here", "sweep=NAME"]),
        (["nosuch/group=4"], ["no such key"]),
        (["rl.group_size=many"], ["rl.group_size", "'many'"]),
        (["rl.group_size=[1"], ["rl.group_size=[1"]),
        (["scale.models.coder.tiny.vocab=3"], ["vocab: no such key", "vocab_size"]),
        (["sweep=unheard_of"], ["sweep=unheard_of: no such sweep", "rl_algorithm"]),
        (["sweep=rl_algorithm", "seed=0,1"], ["seed=0,1", "replicates.seeds"]),
        (["sweep=rl_algorithm", "seeds.rl=4"], ["seeds.rl=4", "sweep.replicates.seeds=[4]"]),
        (
            ["sweep=rl_algorithm", "+sweep.arms.other=['rl=grpo','seeds.pretrain=9']"],
            ["seeds.pretrain=9 (arm other)", "replicates from stage pretrain on", "sweep.arms.other"],
        ),
        (["sweep=rl_algorithm", "sweep=data_mix"], ["one sweep at a time"]),
        (["sweep=rl_algorithm", "sweep.replicates.from_stage=later"], ["from_stage=later", "no such stage"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_word_is_one_line_that_names_it(words: list[str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        expand(words)
    message = str(raised.value)
    assert "\n" not in message
    for part in said:
        assert part in message, message


@pytest.mark.parametrize(
    "words",
    [
        ["+execution.shards.executor_options={time: 3}"],
        ["+execution.shards.executor_options.time=3"],
        ["++rl.group_size=4", "rl=dapo", "++rl.options.clip_high=0.3"],
        ["++scale.models.coder.path=here", "~scale.models.llama2"],
        ["corpus.paths=${oc.decode:'[a, b]'}", "scale.models.coder.tiny=null"],
        ["++hydra.launcher.n_jobs=1"],
    ],
    ids=" ".join,
)
def test_what_the_schema_leaves_open_can_be_given(words: list[str]) -> None:
    assert compose(words) == of_hydra(words)


def test_several_values_without_multirun_is_a_slip() -> None:
    with pytest.raises(ConfigError, match="Add -m"):
        expand(["rl=grpo,ppo"], several=False)


@pytest.mark.parametrize("comparison", ["{a: grpo, b: sft, margin: 2}", "{a: grpo, b: sft, expect: a_not_greater}"])
def test_a_margin_belongs_to_the_expectation_of_no_gain(comparison: str) -> None:
    with pytest.raises(ConfigError, match="margin"):
        validate_sweep(expand(["sweep=rl_algorithm", f"sweep.comparisons=[{comparison}]"]))


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        ("{a: grpo, b: sft, mode: pot}", r"mode=pot: arm grpo is not evaluated in it \(evaluation.modes=\['cot'\]\)"),
        ("{a: grpo, b: sft, mode_b: pot}", r"mode_b=pot: .* sweep.factor=.*only where they are the factor"),
    ],
)
def test_a_comparison_is_in_modes_that_are_there_and_in_two_only_where_they_are_the_factor(
    comparison: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=rf"sweep\.comparisons\.{said}"):
        validate_sweep(expand(["sweep=rl_algorithm", f"sweep.comparisons=[{comparison}]"]))


def test_an_arm_is_not_compared_with_itself() -> None:
    with pytest.raises(ConfigError, match=r"grpo would be compared with itself in mode cot"):
        validate_sweep(expand(["sweep=rl_algorithm", "sweep.comparisons=[{a: grpo, b: grpo}]"]))
    # its two modes are two things, where they are the factor
    own = "sweep.comparisons=[{a: model, b: model, mode: hybrid, mode_b: cot}]"
    with pytest.raises(ConfigError, match="arm model is not evaluated in it"):
        validate_sweep(expand(["sweep=hybrid", own]))


@pytest.mark.parametrize(
    ("glob", "levels"), [("glob(g*)", "grpo,grpo_iterative,grpo_process,gspo"), ("glob(r*, exclude=rf*)", "rloo")]
)
def test_glob_stands_for_the_levels_that_match(glob: str, levels: str) -> None:
    assert expand([f"rl={glob}", "seed=0,1"]) == expand([f"rl={levels}", "seed=0,1"])


def test_arms_of_the_hybrid_sweep_are_one_model_asked_in_four_ways() -> None:
    sweep = expand(["sweep=hybrid"])
    validate_sweep(sweep)
    first = sweep.first_of_each()
    assert [arm.config.evaluation.modes for arm in first] == [["hybrid"], ["router"], ["cot"], ["pot"]]
    assert all(set(differing(first[0].config, arm.config)) == {"evaluation.modes"} for arm in first[1:])
    with pytest.raises(ConfigError, match=r"mode_b=cot: arm rules is not evaluated in it"):
        validate_sweep(expand(["sweep=hybrid", "sweep.comparisons=[{a: model, b: rules, mode: hybrid, mode_b: cot}]"]))


@pytest.mark.parametrize("key", ["caveats", "reference", "consequences"])
def test_a_sentence_of_a_sweep_with_a_colon_must_be_quoted(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"sweep\.{key}\[1\]=.*not text but a dict.* Quote it"):
        validate_sweep(expand(["sweep=rl_algorithm", f"sweep.{key}=[this holds, {{but: that does not}}]"]))


@pytest.mark.parametrize("name", ["rl_algorithm", "rl_family", "iterative_rl"])
def test_a_budget_in_another_unit_than_the_sweep_says_is_refused(name: str) -> None:
    steps = [f"sweep={name}", "rl.budget={unit: steps, amount: 40}"]
    with pytest.raises(
        ConfigError, match=rf"rl\.budget\.unit=steps: arm \w+ of sweep={name} .* sweep\.equal says FLOPs"
    ):
        validate_sweep(expand(steps))
    validate_sweep(expand([*steps, "sweep.equal='steps (rl.budget)'"]))
    validate_sweep(expand([*steps, "until=sft"]))
