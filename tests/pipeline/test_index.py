"""The index of a sweep: who may write it, what becomes of an earlier one, and a disk that does not take it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from sweep_stages import REGISTRY, ran

from dsm_repro.config.compose import Sweep, expand
from dsm_repro.config.errors import StoreError
from dsm_repro.pipeline import index, sweeper
from dsm_repro.pipeline.index import DONE, RUNNING, WAITING, Index, read_index
from dsm_repro.pipeline.liveview import LiveView
from dsm_repro.pipeline.sweeper import Outcome, execute
from dsm_repro.pipeline.worker import Spec, run_spec


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSM_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def one_by_one(specs: Sequence[Path], first: int, workers: int) -> None:
    for spec in specs:
        run_spec(Spec.read(spec))


def bases(*words: str) -> Sweep:
    """One stage for each of the three arms' starting models."""
    return expand(["sweep=base_model", "pretrain=none", "until=base", "sweep.replicates.seeds=[0]", *words])


def index_file(store: Path) -> Path:
    return store / "sweeps" / "base_model" / "arms.json"


def test_a_run_with_other_stages_is_refused_while_one_lasts(store: Path) -> None:
    def launch(specs: Sequence[Path], first: int, workers: int) -> None:
        with pytest.raises(StoreError, match=r"under way, with other stages.* sweep\.name=base_model_mini"):
            execute(bases("seeds.base=7"), REGISTRY, one_by_one)
        assert execute(bases("seeds.base=7", "sweep.name=other"), REGISTRY, one_by_one).exit_code == 0
        one_by_one(specs, first, workers)

    assert execute(bases(), REGISTRY, launch).exit_code == 0
    assert ran(store) == {"base": 6}
    assert json.loads(index_file(store).read_text())["finished"]


def test_a_claim_in_other_words_ends_when_its_stages_did(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(bases(), REGISTRY, one_by_one)
    before = json.loads(index_file(store).read_text())
    monkeypatch.setattr(index, "_now", lambda: "later")
    assert execute(bases("sweep.title=other"), REGISTRY, one_by_one).executed == 0
    told = json.loads(index_file(store).read_text())
    assert told["sweep"]["title"] == "other"
    assert (told["started"], told["finished"]) == (before["started"], before["finished"])


def test_runs_of_the_same_stages_go_together(store: Path) -> None:
    """As one command in two terminals."""
    inner: list[Outcome] = []

    def launch(specs: Sequence[Path], first: int, workers: int) -> None:
        inner.append(execute(bases(), REGISTRY, one_by_one))
        with pytest.raises(StoreError, match="under way, with other stages"):
            execute(bases("seeds.base=7"), REGISTRY, one_by_one)
        one_by_one(specs, first, workers)

    outer = execute(bases(), REGISTRY, launch)
    assert [inner[0].exit_code, outer.exit_code] == [0, 0]
    assert ran(store) == {"base": 3}


def test_the_finished_index_of_other_stages_is_kept_and_this_is_said(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(bases(), REGISTRY, one_by_one)
    before = index_file(store).read_bytes()
    capsys.readouterr()
    execute(bases("seeds.base=7"), REGISTRY, one_by_one)
    (kept,) = index_file(store).parent.glob("arms-*.json")
    assert kept.read_bytes() == before
    said = [line for line in capsys.readouterr().err.splitlines() if "earlier run" in line]
    assert len(said) == 1 and str(kept) in said[0] and "sweep.name=base_model_mini" in said[0]
    # there and back again: the same file, and no stage is run
    execute(bases(), REGISTRY, one_by_one)
    execute(bases("seeds.base=7"), REGISTRY, one_by_one)
    assert len(list(index_file(store).parent.glob("arms-*.json"))) == 2 and ran(store) == {"base": 6}


def test_a_run_that_goes_further_takes_the_index_on(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(bases(), REGISTRY, one_by_one)
    execute(bases("until=sft", "sweep.replicates.seeds=[0,1]"), REGISTRY, one_by_one)
    assert not list(index_file(store).parent.glob("arms-*.json")) and "earlier run" not in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"arms": [1]}', '{"arms": [{"seed": 1}]}', "[]", "{", '{"arms": 3}'])
def test_what_is_no_index_is_made_anew(store: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    index_file(store).parent.mkdir(parents=True)
    index_file(store).write_text(text)
    assert execute(bases(), REGISTRY, one_by_one).exit_code == 0
    assert f"{index_file(store)}: not the index of a sweep" in capsys.readouterr().err
    assert len(read_index(index_file(store))["arms"]) == 3


def test_an_index_that_cannot_be_read_or_written_is_said_before_anything_runs(store: Path) -> None:
    index_file(store).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"arms\.json: the sweep's index cannot be read \(Is a directory\)"):
        execute(bases(), REGISTRY, one_by_one)
    shutil.rmtree(store)
    store.write_text("in the way")
    with pytest.raises(StoreError, match="in the way of the store's folder"):
        execute(bases(), REGISTRY, one_by_one)


def test_an_index_that_cannot_be_written_any_more_ends_no_stage(store: Path) -> None:
    def launch(specs: Sequence[Path], first: int, workers: int) -> None:
        shutil.rmtree(index_file(store).parent)
        index_file(store).parent.write_text("in the way")
        one_by_one(specs, first, workers)

    outcome = execute(bases(), REGISTRY, launch)
    assert (outcome.executed, outcome.failures, outcome.finished, outcome.exit_code) == (3, [], True, 1)
    assert str(index_file(store).parent) in outcome.unwritten

    def dies(specs: Sequence[Path], first: int, workers: int) -> None:
        shutil.rmtree(index_file(store).parent)
        index_file(store).parent.write_text("in the way")
        raise KeyboardInterrupt

    index_file(store).parent.unlink()
    with pytest.raises(KeyboardInterrupt):
        execute(bases("seeds.base=7"), REGISTRY, dies)


def test_the_view_does_not_call_running_what_has_ended(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage ends between the view's look at it and the view's note."""
    sweep = bases()
    graph, made, plan = sweeper.prepare(sweep, REGISTRY)
    index = Index(sweep, graph, made, plan)
    node = next(iter(graph.nodes.values()))
    view = LiveView(index)
    view._progress = {node.id: {}}
    note = index.set

    def overtaken(*words: object, **more: object) -> bool:
        note(node, DONE)
        return note(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(index, "set", overtaken)
    view._notice(node)
    assert index.states[node.id] == DONE
    assert {WAITING, DONE} == set(index.states.values()) and RUNNING not in index.states.values()


def test_only_a_finished_sweep_ends_with_0(store: Path) -> None:
    assert Outcome("a", store, 1, finished=False).exit_code == 1
    assert Outcome("a", store, 1, unwritten="no room").exit_code == 1
    assert Outcome("a", store, 1).exit_code == 0


def test_a_preempted_stage_is_not_called_failed(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def preempted(specs: Sequence[Path], first: int, workers: int) -> None:
        (specs[0].parent / sweeper.STOP).touch()

    assert execute(bases(), REGISTRY, preempted).exit_code == 75
    said = capfd.readouterr().err
    assert said.count("preempted: base ") == 3 and "failed" not in said
