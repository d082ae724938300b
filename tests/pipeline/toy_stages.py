"""Stages that behave like a trainer, in milliseconds: what the store and the worker are tested with.

How a stage behaves beside its config is set by environment variables, which never enter a key.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from dsm_repro.config.schema import Config
from dsm_repro.pipeline.stage import Stage, StageContext, StageEnd

#: checkpoint every so many steps
EVERY = 2
#: what lives as long as the process
HELD: list[object] = []


def _steps(config: Config) -> dict[str, object]:
    return {"steps": config.sft.steps, "seed": config.seeds.sft}


def _train(ctx: StageContext) -> None:
    """A trainer's habits: metrics per step, a checkpoint now and then and before a preemption, the model at the end."""
    ctx.preemption.patient = True
    resume = ctx.scratch / "resume.json"
    state = json.loads(resume.read_text()) if resume.exists() else {"step": 0, "value": ctx.config.seeds.sft}
    ctx.rewind_metrics(state["step"])
    with Path(os.environ.get("TOY_RUNS", os.devnull)).open("a") as f:
        f.write(f"{state['step']}\n")
    for step in range(state["step"] + 1, ctx.config.sft.steps + 1):
        time.sleep(float(os.environ.get("TOY_SECONDS_PER_STEP", "0")))
        state = {"step": step, "value": (state["value"] * 1103515245 + step) % 2**31}
        ctx.log(step, value=state["value"])
        ctx.progress(step, ctx.config.sft.steps)
        if step % EVERY == 0 or ctx.preemption.requested:
            temporary = ctx.scratch / "resume.tmp"
            temporary.write_text(json.dumps(state))
            temporary.replace(resume)
            ctx.preemption.check()
    (ctx.out / "model").mkdir(exist_ok=True)
    (ctx.out / "model" / "weights.bin").write_bytes(str(state["value"]).encode() * 20_000)
    ctx.cost.add_flops("train", 10.0 * ctx.config.sft.steps)
    ctx.record({"value": state["value"]})


def _read_parent(ctx: StageContext) -> None:
    """Keeps no checkpoint: refuses an ``out`` that is not empty."""
    assert not list(ctx.out.iterdir())
    (ctx.out / "half.txt").write_text("half")
    if os.environ.get("TOY_FAIL"):
        raise ValueError(os.environ["TOY_FAIL"])
    if os.environ.get("TOY_FULL_DISK"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(ctx.out / "samples.jsonl"))
    ctx.record({"parent": json.loads((ctx.parents["sft"] / "record.json").read_text())["value"]})


def _share(ctx: StageContext) -> None:
    """Each process leaves its number; the first one waits for all, and tells how many there were."""
    rank, count = os.environ["RANK"], int(os.environ["WORLD_SIZE"])
    if os.environ.get("TOY_FAIL") == rank:
        raise ZeroDivisionError("this process has had enough")
    if os.environ.get("TOY_DIE"):
        os.kill(os.getpid(), signal.Signals[f"SIG{os.environ['TOY_DIE']}"])
    (ctx.scratch / f"rank-{rank}").touch()
    (ctx.out / f"written-by-{rank}").touch()
    if rank != "0":
        raise StageEnd
    end = time.monotonic() + 60
    while len(list(ctx.scratch.glob("rank-*"))) < count:
        ctx.preemption.check()
        assert time.monotonic() < end
        time.sleep(0.02)
    ctx.cost.add_flops("train", 7.0)
    ctx.record({"processes": count, "threads": ctx.threads})


def _speak(ctx: StageContext) -> None:
    """The processes add up numbers by gloo; its threads are kept from letting go of them until the process ends.

    They do not end with their group either: it is still known here when it is left, as it is to FSDP.
    """
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    HELD.append(torch.distributed.group.WORLD)
    sys.setswitchinterval(1_000)
    for _ in range(200):
        number = torch.ones(1)
        number.known_to_python = True  # type: ignore[attr-defined]
        work = torch.distributed.all_reduce(number, async_op=True)
        del number
        work.wait()
    if os.environ["RANK"] != "0":
        raise StageEnd
    ctx.record({})


TRAIN = Stage("sft", 1, lambda config: (), _steps, _train)
READ = Stage("evaluate", 1, lambda config: ("sft",), lambda config: {"seed": config.seeds.evaluate}, _read_parent)
SHARED = Stage("sft", 1, lambda config: (), lambda config: {}, _share, shared=lambda config: True)
SPEAKING = replace(SHARED, run=_speak)
