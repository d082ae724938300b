"""The union graph: each unique stage once, parents first, waves as wide as the full graph."""

from __future__ import annotations

import pytest
import sweep_stages
from sweep_stages import REGISTRY

from dsm_repro.config.compose import compose, expand
from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.graph import Graph, build
from dsm_repro.pipeline.sweeper import loader


@pytest.fixture(scope="module")
def flagship() -> Graph:
    return build([arm.config for arm in expand(["sweep=rl_algorithm", "scale=smoke"]).arms], loader(REGISTRY))


def test_ancestors_shared_by_all_arms_are_in_the_graph_once(flagship: Graph) -> None:
    stages = [node.stage for node in flagship.nodes.values()]
    assert [stages.count(s) for s in ("corpus", "base", "pretrain")] == [1, 1, 1]
    assert stages.count("sft") == 3  # seeds start there
    assert stages.count("rl") == 6  # two methods, three seeds
    assert stages.count("evaluate") == 9
    assert flagship.separate == 9 * 5 + 6


def test_parents_come_in_earlier_waves(flagship: Graph) -> None:
    for wave in flagship.waves():
        for node in wave:
            assert all(parent.depth < node.depth for parent in flagship.parents_of(node))
    assert sum(flagship.widths().values()) == len(flagship.nodes)


def test_shared_stage_knows_every_arm_that_uses_it(flagship: Graph) -> None:
    (pretrain,) = [node for node in flagship.nodes.values() if node.stage == "pretrain"]
    assert pretrain.arms == list(range(9))
    fine_tuned = [node.arms for node in flagship.nodes.values() if node.stage == "sft"]
    assert sorted(map(len, fine_tuned)) == [3, 3, 3] and sorted(arm for arms in fine_tuned for arm in arms) == list(
        range(9)
    )


def test_until_cuts_the_graph() -> None:
    graph = build([compose(["until=corpus"])], loader(REGISTRY))
    assert [node.stage for node in graph.nodes.values()] == ["corpus"]


def test_stage_the_arm_does_not_need_is_absent() -> None:
    graph = build([compose(["rl=none", "pretrain=none"])], loader(REGISTRY))
    assert list(graph.arms[0]) == ["base", "sft", "evaluate"]


def test_unknown_stage_is_named() -> None:
    registry = {name: path for name, path in REGISTRY.items() if name != "sft"}
    with pytest.raises(ConfigError, match="stage sft: unknown"):
        build([compose([])], loader(registry))


def test_every_toy_stage_is_registered() -> None:
    assert all(hasattr(sweep_stages, name.upper()) for name in REGISTRY)
