"""What a command would do: every unique stage, done or to do, with its cost; and what the sweep could detect.

Stage modules are light, so a plan is made without torch, in about a second.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dsm_repro.config.compose import Sweep
from dsm_repro.config.errors import StoreError
from dsm_repro.config.paths import reports_dir
from dsm_repro.pipeline import fit
from dsm_repro.pipeline.detectable import Detectable, of_sweep
from dsm_repro.pipeline.device import Device, device_of
from dsm_repro.pipeline.graph import Graph, LoadStage, Node
from dsm_repro.pipeline.provenance import cores, hardware
from dsm_repro.pipeline.spread import past_spread
from dsm_repro.pipeline.stage import Estimate
from dsm_repro.pipeline.store import Store

#: a past run this many times smaller says more of start-up than of work, so it is not scaled up
COMPARABLE = 10.0


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
    #: at the peak, of one device or of the machine; ``phase`` and ``parts``: when that is, and of what it consists
    memory_bytes: float
    phase: str
    parts: dict[str, float]
    gpu_hours: float
    notes: list[str]
    #: cannot run in the memory that there is
    misfit: bool = False


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
    #: cpu | cuda, and the device's name and memory
    device: str
    device_name: str
    device_bytes: float | None
    gpu_hours: float
    #: what cannot fit, in sentences that say what to change
    misfits: list[str] = field(default_factory=list)
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
    device, workers = device_of(sweep.arms[0].config.execution), workers_of(sweep)
    rows, misfits = [], []
    for node in graph.nodes.values():
        estimate = load(node.stage).estimate
        row = _row(node, sweep, store, estimate(node.config), past, device)
        misfit = None if row.hit else fit.of_stage(node.stage, node.config, estimate, device)
        rows.append(replace(row, misfit=misfit is not None))
        misfits += [misfit] if misfit is not None else []
    to_do = [row for row in rows if not row.hit]
    memory = max((row.memory_bytes for row in to_do), default=0.0)
    if device.kind == "cpu":
        waves = _waves(graph, rows)
        memory = max((sum(sorted((size for _, size in wave), reverse=True)[:workers]) for wave in waves), default=0.0)
        misfits += [found for wave in waves if (found := fit.at_once(wave, workers, device.memory_bytes))]
    return Plan(
        name=sweep.name,
        scale=sweep.arms[0].config.scale.name,
        rows=rows,
        detectable=of_sweep(
            sweep,
            lambda config: load("evaluate").estimate(config).questions,
            past_spread(reports_dir(sweep.arms[0].config), sweep),
        ),
        unique=len(rows),
        separate=graph.separate,
        to_do=len(to_do),
        seconds=_makespan(graph, {f"{row.stage}/{row.key}": row.seconds or 0.0 for row in rows}, workers),
        flops=sum(row.flops for row in to_do),
        disk_bytes=sum(row.disk_bytes for row in to_do),
        memory_bytes=memory,
        workers=workers,
        device=device.kind,
        device_name=device.name,
        device_bytes=device.memory_bytes,
        gpu_hours=sum(row.gpu_hours for row in to_do),
        misfits=list(dict.fromkeys(misfit.sentence for misfit in misfits)),
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


def _waves(graph: Graph, rows: Sequence[Row]) -> list[list[tuple[str, float]]]:
    """Of each wave, its stages to do with their peaks."""
    peaks = {f"{row.stage}/{row.key}": (row.stage, row.memory_bytes) for row in rows if not row.hit}
    return [[peaks[node.id] for node in wave if node.id in peaks] for wave in graph.waves()]


def _row(
    node: Node, sweep: Sweep, store: Store, estimate: Estimate, past: dict[str, list[PastRun]], device: Device
) -> Row:
    hit = store.has(node.stage, node.key)
    seconds, basis = None, "in the store"
    if not hit:
        if node.stage not in past:
            past[node.stage] = past_runs(store, node.stage)
        seconds, basis = expected_seconds(estimate, past[node.stage], device)
    parts = estimate.memory
    on_gpu = device.kind == "cuda" and parts is not None
    return Row(
        stage=node.stage,
        key=node.key,
        arms=[f"{sweep.arms[i].name}#{sweep.arms[i].seed}" for i in node.arms],
        hit=hit,
        tokens=estimate.tokens,
        flops=estimate.flops,
        seconds=seconds,
        basis=basis,
        disk_bytes=estimate.disk_bytes,
        memory_bytes=estimate.memory_bytes if parts is None else fit.needed(parts, estimate, device),
        phase="" if parts is None else parts.phase,
        parts={} if parts is None else parts.parts(),
        gpu_hours=(seconds or 0.0) * estimate.devices / 3600 if on_gpu else 0.0,
        notes=list(estimate.notes),
    )


def past_runs(store: Store, stage: str) -> list[PastRun]:
    """What finished runs of this stage on this machine cost."""
    here = (hardware()["cpu"], cores())
    runs = []
    for _, key in store.find(f"{stage}/"):
        # a damaged artifact must not keep a run from beginning, which sets it aside and makes it anew: whatever is
        # wrong with its files, only the estimate has a sample less
        with suppress(StoreError, OSError, ValueError, TypeError, AttributeError):
            manifest = store.load_manifest(stage, key)
            made_on = manifest.get("hardware") or {}
            if (made_on.get("cpu"), made_on.get("cores")) == here and manifest.get("seconds"):
                cost = store.path(stage, key) / "cost.json"
                flops = json.loads(cost.read_bytes()).get("flops", {}) if cost.is_file() else {}
                runs.append(PastRun(sum(flops.values()), float(manifest["seconds"])))
    return runs


def expected_seconds(estimate: Estimate, runs: Sequence[PastRun], device: Device) -> tuple[float, str]:
    """(seconds, what they rest on): past runs of a comparable size scaled by FLOPs, else FLOPs over an assumed rate."""
    like = [run for run in runs if estimate.flops / COMPARABLE <= run.flops <= estimate.flops * COMPARABLE]
    if like and estimate.flops > 0:
        return statistics.median(run.seconds / run.flops for run in like) * estimate.flops, "past runs here"
    if runs and estimate.flops == 0 and estimate.seconds == 0:
        return statistics.median(run.seconds for run in runs), "past runs here"
    writing = estimate.decoding_flops
    seconds = (estimate.flops - writing) / device.rate + writing / device.decoding_rate
    return seconds / estimate.devices + estimate.seconds, f"assumed {device.said}"


def _makespan(graph: Graph, seconds: dict[str, float], workers: int) -> float:
    """Wall clock: waves follow one another; a wave takes its longest stage, or its sum over the workers."""
    total = 0.0
    for wave in graph.waves():
        times = [seconds[node.id] for node in wave]
        total += max(max(times), sum(times) / workers)
    return total
