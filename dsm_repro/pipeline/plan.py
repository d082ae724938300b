"""What a command would do: every unique stage, done or to do, with its cost; and what the sweep could detect.

Stage modules are light, so a plan is made without torch, in about a second.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsm_repro.config.compose import Sweep
from dsm_repro.config.paths import reports_dir
from dsm_repro.pipeline.detectable import Detectable, of_sweep
from dsm_repro.pipeline.graph import Graph, LoadStage, Node
from dsm_repro.pipeline.provenance import cores, hardware
from dsm_repro.pipeline.spread import past_seed_sd
from dsm_repro.pipeline.stage import Estimate
from dsm_repro.pipeline.store import Store

if TYPE_CHECKING:
    from rich.console import RenderableType

#: FLOP/s assumed where no past run on this machine says better: one CPU core in float32, one accelerator in bfloat16
ASSUMED_CORE_RATE = 1e10
ASSUMED_GPU_RATE = 1e14
#: a past run this many times smaller says more of start-up than of work, so it is not scaled up
COMPARABLE = 10.0
#: narrower output (a pipe has no width) would fold the table beyond reading
TABLE_WIDTH = 110


@dataclass(frozen=True)
class Row:
    """One unique stage. ``seconds`` is None for a hit; ``basis`` says what the estimate rests on."""

    stage: str
    key: str
    arms: list[str]
    hit: bool
    tokens: float
    flops: float
    seconds: float | None
    basis: str
    disk_bytes: float
    memory_bytes: float
    notes: list[str]


@dataclass(frozen=True)
class Plan:
    """``separate``: stages that separate runs of every arm would execute, against ``unique`` ones here."""

    name: str
    scale: str
    rows: list[Row]
    detectable: list[Detectable]
    unique: int
    separate: int
    to_do: int
    seconds: float
    flops: float
    disk_bytes: float
    memory_bytes: float
    workers: int
    caveats: list[str] = field(default_factory=list)
    #: files that a run would read and that are not on this machine
    missing: list[str] = field(default_factory=list)
    #: arms whose stages are all the same: what differs between them has no effect
    same: list[list[str]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.state(), indent=1)


@dataclass(frozen=True)
class PastRun:
    flops: float
    seconds: float


def workers_of(sweep: Sweep) -> int:
    """Stages at once: ``execution.workers``, or one per core up to two."""
    return sweep.arms[0].config.execution.workers or min(2, cores())


def make(sweep: Sweep, graph: Graph, store: Store, load: LoadStage, missing: Sequence[str] = ()) -> Plan:
    """The plan of a sweep whose arms are valid. Reads manifests in the store; writes nothing."""
    past: dict[str, list[PastRun]] = {}
    rows = [_row(node, sweep, store, load, past) for node in graph.nodes.values()]
    to_do = [row for row in rows if not row.hit]
    workers = workers_of(sweep)
    return Plan(
        name=sweep.name,
        scale=sweep.arms[0].config.scale.name,
        rows=rows,
        detectable=of_sweep(sweep, past_seed_sd(reports_dir(sweep.arms[0].config), sweep)),
        unique=len(rows),
        separate=graph.separate,
        to_do=len(to_do),
        seconds=_makespan(graph, {f"{row.stage}/{row.key}": row.seconds or 0.0 for row in rows}, workers),
        flops=sum(row.flops for row in to_do),
        disk_bytes=sum(row.disk_bytes for row in to_do),
        memory_bytes=workers * max((row.memory_bytes for row in to_do), default=0.0),
        workers=workers,
        caveats=list(sweep.claim.caveats),
        missing=list(missing),
        same=same_arms(sweep, graph),
    )


def same_arms(sweep: Sweep, graph: Graph) -> list[list[str]]:
    """Names of arms that are one run at every seed, in groups."""
    stages: dict[str, list[str]] = {arm.name: [] for arm in sweep.arms}
    for node in graph.nodes.values():
        for index in node.arms:
            stages[sweep.arms[index].name].append(node.id)
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, ids in stages.items():
        groups.setdefault(tuple(sorted(set(ids))), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _row(node: Node, sweep: Sweep, store: Store, load: LoadStage, past: dict[str, list[PastRun]]) -> Row:
    estimate = load(node.stage).estimate(node.config)
    hit = store.has(node.stage, node.key)
    seconds, basis = None, "in the store"
    if not hit:
        if node.stage not in past:
            past[node.stage] = past_runs(store, node.stage)
        seconds, basis = expected_seconds(estimate, past[node.stage], node.config.execution.device)
    arms = [f"{sweep.arms[i].name}#{sweep.arms[i].seed}" for i in node.arms]
    return Row(
        stage=node.stage,
        key=node.key,
        arms=arms,
        hit=hit,
        tokens=estimate.tokens,
        flops=estimate.flops,
        seconds=seconds,
        basis=basis,
        disk_bytes=estimate.disk_bytes,
        memory_bytes=estimate.memory_bytes,
        notes=list(estimate.notes),
    )


def past_runs(store: Store, stage: str) -> list[PastRun]:
    """What finished runs of this stage on this machine cost."""
    here = (hardware()["cpu"], cores())
    runs = []
    for _, key in store.find(f"{stage}/"):
        manifest = store.load_manifest(stage, key)
        made_on = manifest.get("hardware") or {}
        if (made_on.get("cpu"), made_on.get("cores")) == here and manifest.get("seconds"):
            cost = store.path(stage, key) / "cost.json"
            flops = json.loads(cost.read_text()).get("flops", {}) if cost.is_file() else {}
            runs.append(PastRun(sum(flops.values()), float(manifest["seconds"])))
    return runs


def expected_seconds(estimate: Estimate, runs: Sequence[PastRun], device: str) -> tuple[float, str]:
    """(seconds, what they rest on): past runs of a comparable size scaled by FLOPs, else FLOPs over an assumed rate."""
    like = [run for run in runs if estimate.flops / COMPARABLE <= run.flops <= estimate.flops * COMPARABLE]
    if like and estimate.flops > 0:
        return statistics.median(run.seconds / run.flops for run in like) * estimate.flops, "past runs here"
    if runs and estimate.flops == 0 and estimate.seconds == 0:
        return statistics.median(run.seconds for run in runs), "past runs here"
    rate, said = _assumed_rate(device)
    return estimate.flops / rate + estimate.seconds, f"assumed {said}"


def _assumed_rate(device: str) -> tuple[float, str]:
    gpu = device.startswith("cuda") or (device == "auto" and shutil.which("nvidia-smi") is not None)
    if gpu:
        return ASSUMED_GPU_RATE, f"{ASSUMED_GPU_RATE:.0e} FLOP/s"
    return ASSUMED_CORE_RATE * cores(), f"{ASSUMED_CORE_RATE * cores():.0e} FLOP/s"


def _makespan(graph: Graph, seconds: dict[str, float], workers: int) -> float:
    """Wall clock: waves follow one another; a wave takes its longest stage, or its sum over the workers."""
    total = 0.0
    for wave in graph.waves():
        times = [seconds[node.id] for node in wave]
        total += max(max(times), sum(times) / workers)
    return total


def amount(value: float, unit: str = "") -> str:
    """A large number to three figures: ``1.25G``; nothing for zero."""
    if value == 0:
        return "-"
    for scale, prefix in ((1e24, "Y"), (1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= scale:
            return f"{value / scale:.3g}{prefix}{unit}"
    return f"{value / 1e3:.3g}k{unit}" if abs(value) >= 1e3 else f"{value:.3g}{unit}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def render(plan: Plan, store_root: Path) -> list[RenderableType]:
    """The plan as rich tables and lines."""
    from rich.table import Table

    table = Table(title=f"{plan.name} · scale={plan.scale}", title_justify="left")
    for name in ("stage", "key", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("used by", overflow="fold")
    for name in ("tokens", "FLOPs", "time", "disk", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    runs = len({arm for row in plan.rows for arm in row.arms})
    for row in plan.rows:
        used = f"all {runs} runs" if len(row.arms) == runs > 1 else ", ".join(row.arms)
        state = "[green]done[/]" if row.hit else "to do"
        costs = (amount(row.tokens), amount(row.flops), duration(row.seconds))
        table.add_row(
            row.stage, row.key[:8], state, used, *costs, amount(row.disk_bytes, "B"), amount(row.memory_bytes, "B")
        )
    lines: list[RenderableType] = [table]
    if plan.to_do:
        rests = sorted({row.basis for row in plan.rows if not row.hit})
        lines.append(
            f"To do: {plan.to_do} of {plan.unique} stages, about {duration(plan.seconds)} with {plan.workers} at once, "
            f"{amount(plan.flops)} FLOPs, {amount(plan.disk_bytes, 'B')} on disk, {amount(plan.memory_bytes, 'B')} of "
            f"memory. Times rest on: {'; '.join(rests)}."
        )
    else:
        lines.append(f"All {plan.unique} stages are in {store_root}: running this only renders the report.")
    lines.append(f"Separate runs would execute {plan.separate} stages; {plan.unique} are unique.")
    lines.extend(d.sentence for d in plan.detectable)
    for names in plan.same:
        lines.append(
            f"Arms {', '.join(names[:-1])} and {names[-1]} are one run: what differs between them has no effect here."
        )
    for note in dict.fromkeys(f"{row.stage}: {note}" for row in plan.rows for note in row.notes):
        lines.append(f"Note, {note}")
    lines.extend(f"Caveat: {caveat}" for caveat in plan.caveats)
    lines.extend(f"Missing here, needed to run: {message}" for message in plan.missing)
    return lines
