"""Stages with the names and the shape of the real graph that cost nothing, for the tests of graph, plan and sweeper."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dsm_repro.config.resolve import has_stage, model_parent
from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Estimate, Stage, StageContext

#: this value of rl.clip_epsilon makes ppo fail
POISON = 0.77
#: and this one kills its process, as the kernel does where memory is short
KILLER = 0.66


def _run(name: str) -> Callable[[StageContext], None]:
    def run(ctx: StageContext) -> None:
        # elsewhere than in the store where a test fills the store's disk
        with (Path(os.environ.get("TOY_RAN", ctx.config.paths.store)) / "ran.txt").open("a") as f:
            f.write(f"{name} threads={ctx.threads} pid={os.getpid()}\n")
        print(f"{name} talks a lot")
        # for tests that kill it, preempt it, or fill its disk
        ctx.preemption.patient = True
        end = time.monotonic() + float(os.environ.get("TOY_SECONDS", "0"))
        while time.monotonic() < end:
            ctx.preemption.check()
            time.sleep(0.02)
        (ctx.out / "weights.bin").write_bytes(bytes(int(os.environ.get(f"TOY_BYTES_{name.upper()}", "0"))))
        if name == "rl" and ctx.config.rl.method == "ppo" and ctx.config.rl.clip_epsilon == POISON:
            raise ValueError("the critic exploded")
        if name == "rl" and ctx.config.rl.method == "ppo" and ctx.config.rl.clip_epsilon == KILLER:
            print("the last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        ctx.cost.add_flops("train", 1e6)
        ctx.progress(1, 1)
        parents = {parent: (path / "record.json").read_text() for parent, path in ctx.parents.items()}
        ctx.record({"stage": name, "parents": parents})

    return run


def _stage(name: str, parents: Callable[[Config], tuple[str, ...]], identity: Callable[[Config], Any]) -> Stage:
    def seeded(config: Config) -> dict[str, Any]:
        return {"seed": getattr(config.seeds, name), "part": identity(config)}

    return Stage(
        name, 1, parents, seeded, _run(name), lambda c: Estimate(flops=1e9, tokens=10, notes=(f"{name} is a toy",))
    )


CORPUS = _stage("corpus", lambda c: (), lambda c: c.corpus.top_tokens)
BASE = _stage("base", lambda c: (), lambda c: c.base.role)
PRETRAIN = _stage("pretrain", lambda c: ("base", "corpus"), lambda c: c.mix.weights)
SFT = _stage("sft", lambda c: (model_parent(c, "sft"),), lambda c: c.sft.format)
RL = _stage("rl", lambda c: (model_parent(c, "rl"),), lambda c: [c.rl.method, c.rl.clip_epsilon])
EVALUATE = _stage("evaluate", lambda c: ("rl" if has_stage(c, "rl") else "sft",), lambda c: sorted(c.evaluation.modes))

REGISTRY = {name: f"sweep_stages:{name.upper()}" for name in ("corpus", "base", "pretrain", "sft", "rl", "evaluate")}
#: the same for Hydra: +hydra.sweeper.registry={...}
REGISTRY_OVERRIDE = "+hydra.sweeper.registry={" + ",".join(f"{k}:'{v}'" for k, v in REGISTRY.items()) + "}"


def ran(store: Path) -> Counter[str]:
    """How often each stage was run on this store."""
    path = store / "ran.txt"
    return Counter(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else Counter()
