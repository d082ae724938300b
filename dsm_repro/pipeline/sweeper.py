"""Runs a sweep: each unique stage once, wave by wave; a failing arm does not stop the others.

Who runs a wave is the caller's business (``launch``): Hydra's launchers, or a plain loop in a test.
Each job is the file of a :class:`~dsm_repro.pipeline.worker.Spec`.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsm_repro.config.compose import Sweep
from dsm_repro.config.container import to_container
from dsm_repro.config.errors import ConfigError, DsmError
from dsm_repro.config.factor import check_factor
from dsm_repro.config.files import missing_files_of
from dsm_repro.config.paths import store_dir
from dsm_repro.config.validate import validate_sweep
from dsm_repro.pipeline import apart, fit, tracker
from dsm_repro.pipeline import plan as planning
from dsm_repro.pipeline.graph import Graph, Node, build
from dsm_repro.pipeline.index import BLOCKED, DONE, FAILED, FINISHED, PREEMPTED, WAITING, Index
from dsm_repro.pipeline.index_lock import held
from dsm_repro.pipeline.liveview import LiveView
from dsm_repro.pipeline.preemption import EXIT_CODE, Preempted, watching
from dsm_repro.pipeline.provenance import cores
from dsm_repro.pipeline.stage import Stage
from dsm_repro.pipeline.store import Store, explained
from dsm_repro.pipeline.task import log_path, spec_path
from dsm_repro.pipeline.worker import Spec, load_stage

#: (spec files, number of the first job, stages at once); returns when all have ended
Launch = Callable[[Sequence[Path], int, int], None]

#: beside the specs of a sweep: there once all its stages are to save and end
STOP = "stop"


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended. ``failures``: (arm, seed, stage, message) of each arm that did not finish."""

    name: str
    store: Path
    executed: int
    failures: list[tuple[str, int, str, str]] = field(default_factory=list)
    #: whether it was told to end before its time; the same command goes on
    preempted: bool = False
    #: artifacts of the arms' last stages
    artifacts: list[Path] = field(default_factory=list)
    #: whether every stage of every arm is in the store
    finished: bool = True
    #: what kept the index from being written: it does not tell how the sweep ended
    unwritten: str = ""

    @property
    def exit_code(self) -> int:
        if self.preempted:
            return EXIT_CODE
        return 0 if self.finished and not self.failures and not self.unwritten else 1


def loader(registry: Mapping[str, str]) -> Callable[[str], Stage]:
    """Stage name -> Stage, each imported once. The loader raises ConfigError for a name not in the registry."""

    @functools.cache
    def load(name: str) -> Stage:
        if name not in registry:
            raise ConfigError(f"stage {name}: unknown. Use one of {', '.join(registry)}.")
        return load_stage(registry[name])

    return load


def prepare(
    sweep: Sweep, registry: Mapping[str, str], files_may_lack: bool = False
) -> tuple[Graph, Store, planning.Plan]:
    """Check every arm, then the union graph and the plan; spends nothing and writes nothing.

    Raises ConfigError or DataError. With ``files_may_lack`` missing files are said in the plan instead:
    what a run on another machine would cost can be asked here.
    """
    validate_sweep(sweep)
    if sweep.declared:
        check_factor(sweep)
    missing = missing_files_of(sweep)
    if missing and not files_may_lack:
        raise ConfigError("\n".join(missing))
    load = loader(registry)
    graph = build([arm.config for arm in sweep.arms], load, inputs_may_lack=files_may_lack)
    store = Store(store_dir(sweep.arms[0].config))
    return graph, store, planning.make(sweep, graph, store, load, missing)


def execute(sweep: Sweep, registry: Mapping[str, str], launch: Launch) -> Outcome:
    """Make every stage that the store lacks. Raises ConfigError or DataError before anything is spent."""
    graph, store, plan = prepare(sweep, registry)
    fit.refuse(plan.misfits)
    index = Index(sweep, graph, store, plan)
    preempted, unwritten = False, ""
    if not index.already_complete:
        with held(index):
            try:
                if not index.all_hit:
                    preempted = _run_waves(index, registry, launch)
            finally:
                unwritten = index.end()
    last = dict.fromkeys(next(reversed(stages.items())) for stages in graph.arms)
    artifacts = [store.path(*node) for node in last if index.states["/".join(node)] in FINISHED]
    return Outcome(
        sweep.name, store.root, index.executed, _failures(index), preempted, artifacts, index.all_finished, unwritten
    )


def _run_waves(index: Index, registry: Mapping[str, str], launch: Launch) -> bool:
    """Returns whether the sweep ended before its time because it was told to."""
    widths, workers = index.graph.widths(), planning.workers_of(index.sweep)
    started = 0
    with ExitStack() as stack:
        with explained(index.store.root):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".specs-", dir=index.store.root)))
        watch = stack.enter_context(watching(folder / STOP, announce=True))
        # stages under way save and end by themselves
        watch.patient = True
        view = stack.enter_context(LiveView(index))
        for wave in index.graph.waves():
            ready = _ready(index, wave)
            if not ready:
                continue
            threads = threads_per_stage(workers, widths[ready[0].depth])
            specs = [_write_spec(node, index, registry, threads, folder) for node in ready]
            before = {node.id: index.store.read_error(node.stage, node.key) for node in ready}
            with view.watching(ready):
                died = _launch(launch, specs, started, workers)
                for node in ready:
                    _settle(index, node, before[node.id], died, watch.requested)
            started += len(ready)
            states = set(index.states.values())
            if watch.requested or PREEMPTED in states:
                return not states.isdisjoint((WAITING, PREEMPTED))
    return False


def threads_per_stage(workers: int, width: int) -> int:
    """Threads of each stage of a wave: the cores shared among the stages at once.

    ``width`` counts the whole wave, stages in the store included, so that a resumed sweep computes
    with the thread count of an undisturbed one.
    """
    return max(1, cores() // min(workers, width))


def _ready(index: Index, wave: Sequence[Node]) -> list[Node]:
    """The wave's stages to run; those with an unfinished parent are noted as blocked."""
    ready = []
    for node in wave:
        if index.states[node.id] != WAITING:
            continue
        if all(index.states[parent.id] in FINISHED for parent in index.graph.parents_of(node)):
            ready.append(node)
        else:
            index.set(node, BLOCKED)
    return ready


def _write_spec(node: Node, index: Index, registry: Mapping[str, str], threads: int, folder: Path) -> Path:
    arms = [f"{arm.name}, seed {arm.seed}" for arm in (index.sweep.arms[i] for i in node.arms)]
    config = to_container(tracker.named(node.config, index.sweep.name, node.stage, node.key, arms))
    root, stop = str(index.store.root), str(folder / STOP)
    spec = Spec(node.stage, registry[node.stage], node.key, config, node.parents, root, threads, stop)
    path = spec_path(folder, node.stage, node.key)
    with explained(path):
        spec.write(path)
    return path


def _launch(launch: Launch, specs: Sequence[Path], first: int, workers: int) -> str | None:
    """Run one wave; what a dead worker process leaves behind is a message, not an end of the sweep."""
    try:
        launch(specs, first, workers)
    except DsmError as error:
        return str(error)
    except Exception as error:  # a launcher has its own error types; stages that finished are in the store
        return (
            f"the launcher stopped: {type(error).__name__}: {error} (a worker that runs out of memory is killed). "
            "Run the same command again to resume, with execution.workers=1 if memory is short."
        )
    return None


def _settle(
    index: Index, node: Node, before: Mapping[str, Any] | None, died: str | None, told_to_end: bool = False
) -> None:
    """Note how a launched stage ended; what counts is whether the store has it.

    ``before`` is the note that the stage's ``error.json`` had when it was launched. One that is still there is of an
    earlier run: this one did not come to begin. (It is not deleted beforehand, since another process may be at the
    stage and just be writing it.)
    """
    if index.store.has(node.stage, node.key):
        index.executed += 1
        index.set(node, DONE)
        return
    said = index.store.read_error(node.stage, node.key) or {}
    if said == before:
        said = {}
    if said.get("type") == Preempted.__name__ or (told_to_end and not said):
        index.set(node, PREEMPTED)
        return
    message = said.get("message") or died or "the stage ended without an artifact. Run the same command again."
    log = log_path(index.store.root, node.stage, node.key)
    if not said or said.get("type") == apart.WorkerDiedError.__name__:
        # it had no time to say why
        message = "\n".join(filter(None, [str(message), apart.tail(log)]))
    elif not said.get("actionable"):
        message = f"{said.get('type')}: {message} (traceback in {log})"
    error = {"stage": node.stage, "message": str(message), "traceback": str(said.get("traceback", ""))}
    index.set(node, FAILED, error)


def _failures(index: Index) -> list[tuple[str, int, str, str]]:
    found = []
    for number, arm in enumerate(index.sweep.arms):
        error = index.error_of(number)
        if error is not None:
            found.append((arm.name, arm.seed, error["stage"], error["message"]))
    return found
