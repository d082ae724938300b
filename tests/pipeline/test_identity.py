"""Keys: equal exactly when what decides the result is equal."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsm_repro.config.container import from_container, to_container
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.config.schema import Config, ExecutionConfig, PathsConfig, SeedsConfig
from dsm_repro.config.training_schema import SFTConfig
from dsm_repro.pipeline.identity import (
    ABSENT,
    KEY_LENGTH,
    canonical,
    canonical_json,
    description,
    digest_of,
    explain,
    key_of,
    stage_key,
)
from dsm_repro.pipeline.stage import Stage

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _same(a: Any, b: Any) -> bool:
    """Equality as a reader of YAML sees it: Python's, but true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return isinstance(a, bool) == isinstance(b, bool) and type(a == b) is bool and a == b


@given(PLAIN, PLAIN)
def test_two_values_have_one_text_exactly_when_they_are_equal(a: Any, b: Any) -> None:
    assert (canonical_json(a) == canonical_json(b)) == _same(a, b)


@given(PLAIN)
def test_canonical_text_survives_a_json_round_trip(value: Any) -> None:
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_equal_spellings_have_one_text() -> None:
    @dataclasses.dataclass
    class Inner:
        a: int = 1

    class Colour(enum.Enum):
        RED = "red"

    assert canonical_json(1) == canonical_json(1.0) != canonical_json(True)
    assert canonical_json(0.0) == canonical_json(-0.0)
    assert canonical_json(5e-05) == canonical_json(0.00005)
    assert canonical_json((1, 2)) == canonical_json([1, 2])
    assert canonical_json({"x": Inner()}) == canonical_json({"x": {"a": 1}})
    assert canonical_json(Colour.RED) == canonical_json("red")
    assert canonical_json("1") != canonical_json(1)
    assert canonical_json(None) != canonical_json("null")


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, {1, 2}, Path("x"), b"x", object(), 1j, int, lambda: 0, {1: "a"}, "\ud800"],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_canonical_form_is_refused_with_its_path(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"config\.list\[1\]\.x") as caught:
        canonical({"list": [0, {"x": value}]}, "config")
    assert str(caught.value).endswith(".")


STAGE = Stage(
    name="sft",
    version=1,
    parents=lambda config: ("pretrain",),
    identity=lambda config: {"sft": config.sft, "seed": config.seeds.sft},
    run=lambda ctx: None,
    inputs=lambda config: tuple(Path(p) for p in config.corpus.paths),
)
PARENTS = {"pretrain": "0" * KEY_LENGTH}
CONFIG = Config()
KEY = stage_key(STAGE, CONFIG, PARENTS)


def test_a_key_is_stable_and_the_head_of_the_digest() -> None:
    assert stage_key(STAGE, Config(), dict(PARENTS)) == KEY
    assert digest_of(description(STAGE, CONFIG, PARENTS)).startswith(KEY)
    assert len(KEY) == KEY_LENGTH and len(digest_of(description(STAGE, CONFIG, PARENTS))) == 64


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(SFTConfig)])
def test_every_identity_field_changes_the_key(name: str) -> None:
    old = getattr(CONFIG.sft, name)
    new = not old if isinstance(old, bool) else old + "x" if isinstance(old, str) else old + 1
    assert stage_key(STAGE, replace(CONFIG, sft=replace(CONFIG.sft, **{name: new})), PARENTS) != KEY


def test_version_parent_and_seed_change_the_key() -> None:
    keys = {
        KEY,
        stage_key(replace(STAGE, version=2), CONFIG, PARENTS),
        stage_key(replace(STAGE, name="other"), CONFIG, PARENTS),
        stage_key(STAGE, CONFIG, {"pretrain": "1" * KEY_LENGTH}),
        stage_key(STAGE, replace(CONFIG, seeds=SeedsConfig(sft=1)), PARENTS),
    }
    assert len(keys) == 5


@settings(max_examples=40)
@given(
    st.builds(
        ExecutionConfig,
        device=st.sampled_from(["cpu", "cuda"]),
        workers=st.none() | st.integers(1, 64),
        micro_batch=st.integers(1, 512),
        checkpoint_seconds=st.floats(1, 1e4),
    ),
    st.text(),
)
def test_execution_paths_and_other_stages_fields_never_change_a_key(execution: ExecutionConfig, store: str) -> None:
    config = replace(CONFIG, execution=execution, paths=PathsConfig(store=store), rl=RLConfig(group_size=3))
    assert stage_key(STAGE, config, PARENTS) == KEY


def test_a_config_that_travelled_keeps_its_key() -> None:
    travelled = from_container(json.loads(json.dumps(to_container(CONFIG))))
    assert travelled == CONFIG
    assert stage_key(STAGE, travelled, PARENTS) == KEY


@pytest.mark.parametrize(
    ("container", "key"),
    [({"sft": {"stepz": 1}}, "stepz"), ({"sft": {"steps": "many"}}, "sft.steps"), ({"sft": None}, "sft")],
)
def test_a_container_that_fits_no_config_is_refused_by_key(container: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        from_container(container)


def test_an_input_counts_by_content_and_name_but_not_by_place_or_time(tmp_path: Path) -> None:
    def key(path: Path) -> str:
        return stage_key(STAGE, replace(CONFIG, corpus=replace(CONFIG.corpus, paths=[str(path)])), PARENTS)

    a, b = tmp_path / "a" / "data.jsonl", tmp_path / "b" / "data.jsonl"
    for path in (a, b):
        path.parent.mkdir()
        path.write_text("one")
    first = key(a)
    assert first != KEY
    assert key(b) == first
    b.touch()
    assert key(b) == first
    b.write_text("two")
    assert key(b) != first
    assert key(a.rename(tmp_path / "a" / "data.txt")) != first


def test_an_input_folder_counts_by_its_files(tmp_path: Path) -> None:
    config = replace(CONFIG, corpus=replace(CONFIG.corpus, paths=[str(tmp_path)]))
    (tmp_path / "a").write_text("one")
    first = stage_key(STAGE, config, PARENTS)
    (tmp_path / "b").write_text("")
    assert stage_key(STAGE, config, PARENTS) != first


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    config = replace(CONFIG, corpus=replace(CONFIG.corpus, paths=[str(tmp_path / "gone.jsonl")]))
    with pytest.raises(DataError, match=r"gone.jsonl"):
        description(STAGE, config, PARENTS)


@pytest.mark.parametrize("parents", [{}, {"base": "0" * 16}, {**PARENTS, "base": "0" * 16}])
def test_the_keys_given_must_be_those_of_the_parents(parents: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="pretrain"):
        description(STAGE, CONFIG, parents)


def test_explain_names_the_leaves_that_differ_and_no_other() -> None:
    a = description(STAGE, CONFIG, PARENTS)
    b = description(STAGE, replace(CONFIG, sft=replace(CONFIG.sft, steps=7, format="pot")), PARENTS)
    assert explain(a, b) == [("identity.sft.format", "cot", "pot"), ("identity.sft.steps", CONFIG.sft.steps, 7)]
    assert explain({"x": [1], "y": {}}, {"x": [1.0, 2]}) == [("x[1]", ABSENT, 2), ("y", {}, ABSENT)]
    assert explain({"x": 1}, {"x": True}) == [("x", 1, True)]


@given(PLAIN, PLAIN)
def test_two_descriptions_differ_in_a_leaf_exactly_when_their_keys_differ(a: Any, b: Any) -> None:
    assert bool(explain({"identity": a}, {"identity": b})) == (key_of({"identity": a}) != key_of({"identity": b}))
