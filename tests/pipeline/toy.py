"""Specs for the toy stages, and what two runs of one key must have in common."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from dsm_repro.config.container import to_container
from dsm_repro.config.schema import Config, SeedsConfig
from dsm_repro.config.training_schema import SFTConfig
from dsm_repro.pipeline.identity import stage_key
from dsm_repro.pipeline.worker import Spec

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import toy_stages  # noqa: E402  (found through the line above, in a worker's process through PYTHONPATH)


def config(steps: int = 10, seed: int = 1) -> Config:
    return replace(Config(), sft=SFTConfig(steps=steps), seeds=SeedsConfig(sft=seed))


def train(store: Path, steps: int = 10, seed: int = 1) -> Spec:
    c = config(steps, seed)
    key = stage_key(toy_stages.TRAIN, c, {})
    return Spec("sft", "toy_stages:TRAIN", key, to_container(c), {}, str(store))


def shared(
    store: Path, processes: int = 2, nodes: int = 1, node_command: list[str] | None = None, name: str = "SHARED"
) -> Spec:
    c = config()
    execution = replace(c.execution, processes=processes, nodes=nodes, node_command=node_command or [])
    c = replace(c, execution=execution)
    key = stage_key(toy_stages.SHARED, c, {})
    return Spec("sft", f"toy_stages:{name}", key, to_container(c), {}, str(store), 4)


def read(store: Path, parent: Spec) -> Spec:
    c = config()
    key = stage_key(toy_stages.READ, c, {"sft": parent.key})
    return Spec("evaluate", "toy_stages:READ", key, to_container(c), {"sft": parent.key}, str(store))


def environment(**variables: str) -> dict[str, str]:
    """For a worker in its own process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]), **variables}


def results(artifact: Path) -> dict[str, bytes]:
    """Every file of an artifact but the two that tell times."""
    return {
        path.relative_to(artifact).as_posix(): path.read_bytes()
        for path in sorted(artifact.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "cost.json")
    }


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file under ``root`` but locks."""
    return {str(p): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file() and p.suffix != ".lock"}
