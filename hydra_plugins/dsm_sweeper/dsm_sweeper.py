"""The Hydra side of a sweep: composes the arms, and hands each wave of unique stages to the launcher."""

# no `from __future__ import annotations`: Hydra executes plugin modules before they are in sys.modules, and a
# dataclass with annotations as text would look itself up there

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from dsm_repro.config.compose import Sweep


@dataclass
class DsmSweeperConf:
    _target_: str = "hydra_plugins.dsm_sweeper.dsm_sweeper.DsmSweeper"
    #: stage name -> "module:attribute"; empty: the stages of dsm_repro
    registry: dict[str, str] = field(default_factory=dict)
    #: render the report at the end
    report: bool = True


ConfigStore.instance().store(group="hydra/sweeper", name="dsm", node=DsmSweeperConf, provider="dsm_sweeper")


class DsmSweeper(Sweeper):
    """Ends the process with a non-zero code where an arm failed."""

    def __init__(self, registry: dict[str, str], report: bool) -> None:
        super().__init__()
        self.registry = registry
        self.report = report
        self.context: HydraContext | None = None
        self.task: TaskFunction | None = None
        self.hydra_config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task, self.hydra_config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the arms that the overrides describe, render the report, and exit."""
        from dsm_repro import stages
        from dsm_repro.config.compose import expand
        from dsm_repro.config.paths import reports_dir
        from dsm_repro.pipeline.sweeper import execute

        sweep = expand(arguments)
        self._note_shared_gpu(sweep)
        outcome = execute(sweep, dict(self.registry) or stages.registry(), self._launch)
        for arm, seed, stage, message in outcome.failures:
            print(f"failed: {arm}, seed {seed}, stage {stage}: {message}", file=sys.stderr)
        if outcome.unwritten:
            print(f"failed: {outcome.unwritten}", file=sys.stderr)
            sys.exit(outcome.exit_code)
        if outcome.preempted:
            print(f"preempted: {outcome.name} goes on with the same command", file=sys.stderr)
            sys.exit(outcome.exit_code)
        if not outcome.finished and not outcome.failures:
            print(f"not finished: {outcome.name} goes on with the same command", file=sys.stderr)
        elif not outcome.executed and not outcome.failures:
            print(f"{outcome.name}: 0 stages to do, all are in the store")
        until = sweep.arms[0].config.until
        if until is None and self.report:
            folder = reports_dir(sweep.arms[0].config)
            print(f"report: {_report(outcome.store, outcome.name, folder, changed=outcome.executed > 0)}")
        else:
            print(f"index: {outcome.store / 'sweeps' / outcome.name / 'arms.json'}")
        if until is not None:
            for artifact in outcome.artifacts:
                print(f"{until}: {artifact}")
        sys.exit(outcome.exit_code)

    def _note_shared_gpu(self, sweep: "Sweep") -> None:
        """Joblib's processes are all given the same devices; it may be meant, so it is said and not refused."""
        from dsm_repro.pipeline.device import kind_of
        from dsm_repro.pipeline.plan import workers_of

        assert self.hydra_config is not None
        launcher = self.hydra_config.hydra.runtime.choices.get("hydra/launcher")
        if launcher == "joblib" and workers_of(sweep) > 1 and kind_of(sweep.arms[0].config.execution) == "cuda":
            print(
                f"note: {workers_of(sweep)} stages at once will share one GPU, each with the memory that the plan "
                "names. If that runs out, set execution.workers=1, or use a launcher that gives each stage its own.",
                file=sys.stderr,
            )

    def _launch(self, specs: Sequence[Path], first: int, workers: int) -> None:
        from dsm_repro.config.compose import quoted

        assert self.hydra_config is not None
        store = quoted(str(specs[0].parent.parent))
        jobs = [[f"worker_spec={quoted(str(path))}", f"paths.store={store}"] for path in specs]
        for job in self._launcher(min(workers, len(specs))).launch(jobs, initial_job_idx=first):
            # what it could not note, on a full disk say; Hydra would keep it to itself
            if job.status is JobStatus.FAILED:
                raise job._return_value

    def _launcher(self, at_once: int) -> Launcher:
        """The configured launcher; joblib is given no more processes than stages, and is not started for one."""
        assert self.context is not None and self.task is not None and self.hydra_config is not None
        config = self.hydra_config
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=self.task, config=config
        )
        _adapt(launcher)
        if not hasattr(launcher, "joblib"):
            return launcher
        if at_once > 1:
            launcher.joblib["n_jobs"] = at_once
            return launcher
        from hydra._internal.core_plugins.basic_launcher import BasicLauncher

        basic = BasicLauncher()
        basic.setup(hydra_context=self.context, task_function=self.task, config=config)
        return basic


def _adapt(launcher: Launcher) -> None:
    """What the launchers of clusters would trip over."""
    init = getattr(launcher, "ray_cfg", {}).get("init", {})
    if init.get("address") or os.environ.get("RAY_ADDRESS"):
        # the launcher asks for some by default, which Ray refuses for a cluster that is already there
        init.setdefault("object_store_memory", None)
    if getattr(launcher, "_EXECUTOR", "") == "slurm":
        from dsm_repro.pipeline.slurm import watch_by_squeue

        watch_by_squeue()


def _report(store: Path, name: str, folder: Path, changed: bool) -> Path:
    """The page of the sweep, rendered unless it is there and nothing that it is made of has changed."""
    from dsm_repro.reporting import freshness

    if not changed and freshness.is_current(store, name, folder):
        return folder / name / "index.html"
    from dsm_repro.reporting.render import render_sweep

    page = render_sweep(store, name, folder)
    freshness.note(store, name, folder)
    return page
