"""Told to end: what is under way is saved, the exit code says "try again", and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy

from dsm_repro.config.errors import DataError
from dsm_repro.pipeline import worker
from dsm_repro.pipeline.preemption import EXIT_CODE, Preempted, watching
from dsm_repro.pipeline.store import Store
from dsm_repro.pipeline.worker import run_spec

STEPS = 6


@pytest.fixture
def _handled() -> Any:
    """A handler of our own for SIGUSR1 while a test runs, and then what was there before."""
    told: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: told.append(number))
    yield told
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_saves_ends_with_75_and_goes_on_where_it_ended(tmp_path: Path, number: int) -> None:
    spec, store = toy.train(tmp_path / "store", STEPS), Store(tmp_path / "store")
    spec.write(tmp_path / "spec.json")
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        [sys.executable, "-m", "dsm_repro.pipeline.worker", str(tmp_path / "spec.json")],
        env=toy.environment(TOY_SECONDS_PER_STEP="0.2", TOY_RUNS=str(runs)),
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = store.staging("sft", spec.key).out / "metrics.jsonl"
    deadline = time.monotonic() + 30
    # after an uneven step, which alone leaves no checkpoint
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == EXIT_CODE == 75
    assert said == "preempted. The same command again goes on.\n"
    note = store.read_error("sft", spec.key)
    assert note is not None and note["type"] == "Preempted"
    done = len(metrics.read_text().splitlines())
    os.environ["TOY_RUNS"] = str(runs)
    try:
        assert run_spec(spec) == "done"
    finally:
        del os.environ["TOY_RUNS"]
    assert [int(line) for line in runs.read_text().split()] == [0, done] and 3 <= done < STEPS
    whole = toy.train(tmp_path / "whole", STEPS)
    run_spec(whole)
    assert toy.results(store.path("sft", spec.key)) == toy.results(Store(whole.store).path("sft", whole.key))


def test_impatient_work_ends_at_once_and_patient_work_when_it_asks() -> None:
    with pytest.raises(Preempted, match="SIGTERM"), watching():
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Preempted), watching() as watch:
        watch.patient = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.requested
        watch.check()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_no_library_takes_it_for_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizers library raises plain Exception, so whatever it raises is called a file that cannot be read."""
    from transformers import AutoTokenizer

    from dsm_repro.training.models import load_tokenizer

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Preempted, match="SIGTERM"), watching():
        load_tokenizer(tmp_path)


def test_a_stage_that_is_interrupted_notes_a_preemption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, store = toy.train(tmp_path / "store", STEPS), Store(tmp_path / "store")

    def interrupted(*_: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception as error:
            raise DataError("this file cannot be read") from error

    monkeypatch.setattr(worker, "use_threads", interrupted)
    with pytest.raises(Preempted, match="SIGTERM"):
        run_spec(spec)
    note = store.read_error("sft", spec.key)
    assert note is not None and note["type"] == "Preempted"


def test_who_handled_the_signal_before_gets_it_when_all_is_saved(_handled: list[int]) -> None:
    """What submitit relies on: its handler puts the job into the queue again and ends the process."""
    with watching() as watch:
        watch.patient = True
        os.kill(os.getpid(), signal.SIGUSR1)
        assert watch.requested and not _handled
    assert _handled == [signal.SIGUSR1]


def test_a_file_tells_what_no_signal_reaches(tmp_path: Path) -> None:
    told = []

    def work() -> None:
        with watching(tmp_path / "stop") as watch:
            told.append(watch.requested)
            (tmp_path / "stop").touch()
            told.append(watch.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [False, True]


def test_who_waits_for_a_stage_of_another_run_ends_when_told(tmp_path: Path) -> None:
    """A launcher's worker gets no signal, only the file: it must not first wait for the other run's stage."""
    spec = replace(toy.train(tmp_path / "store", STEPS), stop=str(tmp_path / "stop"))
    timer = threading.Timer(0.3, (tmp_path / "stop").touch)
    with Store(spec.store).lock("sft", spec.key):
        timer.start()
        with pytest.raises(Preempted):
            run_spec(spec)
    assert not Store(spec.store).staging("sft", spec.key).path.exists()
