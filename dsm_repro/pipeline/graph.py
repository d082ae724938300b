"""The union graph of all arms: each unique stage once, in waves that may run side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dsm_repro.config.errors import DataError
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.stage import Stage

#: the stage an arm runs to unless ``until`` says otherwise
LAST_STAGE = "evaluate"

LoadStage = Callable[[str], Stage]


@dataclass
class Node:
    """One unique stage: everything with the same key is made once."""

    stage: str
    key: str
    #: parent stage name -> key
    parents: dict[str, str]
    #: the config of the first arm that needs it; all arms with this key agree on its identity
    config: Config
    #: longest path from a stage without parents
    depth: int
    #: indices of the arms that use it, in the order of the sweep
    arms: list[int] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.stage}/{self.key}"


@dataclass
class Graph:
    """``nodes``: id -> node, parents before children. ``arms``: for each arm, stage name -> key."""

    nodes: dict[str, Node]
    arms: list[dict[str, str]]

    def waves(self) -> list[list[Node]]:
        """Nodes by depth: all parents of a wave lie in earlier waves."""
        depths = sorted({node.depth for node in self.nodes.values()})
        return [[node for node in self.nodes.values() if node.depth == depth] for depth in depths]

    def widths(self) -> dict[int, int]:
        """Depth -> stages in that wave, whether or not the store has them: what the thread count rests on."""
        return dict(Counter(node.depth for node in self.nodes.values()))

    def parents_of(self, node: Node) -> list[Node]:
        return [self.nodes[f"{stage}/{key}"] for stage, key in node.parents.items()]

    @property
    def separate(self) -> int:
        """How many stages separate runs of every arm would execute; replicates that are one run count once."""
        runs = {tuple(stages.items()) for stages in self.arms}
        return sum(len(stages) for stages in runs)


def build(configs: Sequence[Config], load: LoadStage, inputs_may_lack: bool = False) -> Graph:
    """The union of the arms' graphs, each from its last stage (``until``, or ``evaluate``) back to its roots.

    Raises ConfigError for an unknown stage, DataError for a missing input file. With ``inputs_may_lack``
    (a plan) a stage whose input is missing gets a provisional key, which no artifact has.
    """
    graph = Graph(nodes={}, arms=[])
    for index, config in enumerate(configs):
        keys: dict[str, str] = {}
        _add(graph, keys, config.until or LAST_STAGE, config, index, load, inputs_may_lack)
        graph.arms.append(keys)
    return graph


def _add(
    graph: Graph, keys: dict[str, str], name: str, config: Config, arm: int, load: LoadStage, inputs_may_lack: bool
) -> None:
    """Add a stage of one arm and, first, its parents; a stage may be reached by several paths."""
    if name in keys:
        return
    stage = load(name)
    parents = stage.parents(config)
    for parent in parents:
        _add(graph, keys, parent, config, arm, load, inputs_may_lack)
    parent_keys = {parent: keys[parent] for parent in parents}
    try:
        keys[name] = stage_key(stage, config, parent_keys)
    except DataError:
        if not inputs_may_lack:
            raise
        provisional = replace(stage, name=f"{name} without its inputs", inputs=lambda config: ())
        keys[name] = stage_key(provisional, config, parent_keys)
    node = Node(name, keys[name], parent_keys, config, depth=0)
    node.depth = 1 + max((parent.depth for parent in graph.parents_of(node)), default=-1)
    graph.nodes.setdefault(node.id, node).arms.append(arm)
