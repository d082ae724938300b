"""Trackers beside the store: the trainers' own integrations, told what to call a run and where it belongs.

A tracker shows a run while it trains; the report never reads one. transformers' callbacks take half of their
settings from the environment, so these are set around a stage and put back after it: several stages may run in
one process, one after the other.

===============  ====================================  ==========================================
``tracker``      arms of one sweep are grouped by     kept in (unless the environment names a place)
===============  ====================================  ==========================================
``tensorboard``  a folder                            ``FOLDER/SWEEP/RUN``
``trackio``      a project                           ``FOLDER/trackio`` (``TRACKIO_DIR``)
``wandb``        a group of ``WANDB_PROJECT``        ``FOLDER/wandb`` (``WANDB_DIR``), and its server
``mlflow``       an experiment                       ``FOLDER/mlflow.db`` (``MLFLOW_TRACKING_URI``)
===============  ====================================  ==========================================
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dsm_repro.config.schema import Config, TrackerConfig

PROJECT = "dsm_repro"


def named(config: Config, sweep: str, stage: str, key: str, arms: list[str]) -> Config:
    """The config of one stage with the names that its tracker shows: the sweep's, and the run's own.

    A stage that several arms share is named after the first and says how many more there are.
    """
    others = f" +{len(arms) - 1}" if len(arms) > 1 else ""
    run = f"{stage} {arms[0]}{others} {key[:8]}"
    return replace(config, tracker=replace(config.tracker, group=sweep, run=run))


def trainer_fields(tracker: TrackerConfig) -> dict[str, Any]:
    """The fields of ``TrainingArguments`` that a tracker reads."""
    return {"report_to": tracker.name, "run_name": tracker.run or None, "project": tracker.group or PROJECT}


def shown(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a step's metrics, for the trainer's callbacks: integrations warn at anything else."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


@contextmanager
def tracked(tracker: TrackerConfig) -> Iterator[None]:
    """Around one stage: the environment of its tracker, and an end to its run whatever happens."""
    told = environment(tracker, os.environ)
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    failed = True
    try:
        yield
        failed = False
    finally:
        _finish(tracker.name, failed)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def environment(tracker: TrackerConfig, given: Mapping[str, str]) -> dict[str, str]:
    """What the tracker's integration reads; places and projects that the user has ``given`` stay as they are."""
    folder = Path(tracker.folder).expanduser().absolute()
    group = tracker.group or PROJECT
    if tracker.name == "tensorboard":
        return {"TENSORBOARD_LOGGING_DIR": str(folder / _as_name(group) / _as_name(tracker.run or "run"))}
    if tracker.name == "trackio":
        return _unless(given, TRACKIO_DIR=str(folder / "trackio"))
    if tracker.name == "wandb":
        return {"WANDB_RUN_GROUP": group, **_unless(given, WANDB_PROJECT=PROJECT, WANDB_DIR=_made(folder / "wandb"))}
    if tracker.name == "mlflow":
        place = _unless(given, MLFLOW_TRACKING_URI=f"sqlite:///{_made(folder)}/mlflow.db")
        return {"MLFLOW_EXPERIMENT_NAME": group, **place}
    return {}


def _unless(given: Mapping[str, str], **values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in given}


def _made(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+-]+", "-", text)


def _finish(name: str, failed: bool) -> None:
    """End a run that the integration leaves open: the next stage of this process would write into it."""
    module = sys.modules.get(name)
    if module is None:
        return
    if name == "wandb" and module.run is not None:
        module.finish(exit_code=int(failed))
    if name == "mlflow" and module.active_run() is not None:
        module.end_run("FAILED" if failed else "FINISHED")
    if name == "trackio" and module.context_vars.current_run.get() is not None:
        module.finish()
