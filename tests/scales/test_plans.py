"""Every sweep is planned at the scales of published models."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsm_repro import stages
from dsm_repro.config.compose import expand
from dsm_repro.config.paths import sweep_names
from dsm_repro.pipeline import device, plan_text
from dsm_repro.pipeline.sweeper import prepare


@pytest.mark.parametrize("scale", ["gpu", "paper"])
@pytest.mark.parametrize("name", sweep_names())
def test_every_sweep_is_planned_at_the_scales_of_published_models(
    name: str, scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it cannot run: every stage on a device has its parts, its hours, and its place in the text."""
    monkeypatch.setenv("DSM_STORE", str(tmp_path))
    monkeypatch.setattr(device, "_gpu", lambda: None)
    sweep = expand([f"sweep={name}", f"scale={scale}", "sweep.replicates.seeds=[0]"])
    if any(spec.tiny is not None for arm in sweep.arms for spec in [arm.config.scale.models[arm.config.base.role]]):
        pytest.skip(f"sweep={name} makes its own model")
    _, _, plan = prepare(sweep, stages.registry(), files_may_lack=True)
    trained = [row for row in plan.rows if row.stage not in ("crawl", "corpus", "base")]
    assert trained
    assert all(sum(row.parts.values()) == pytest.approx(row.memory_bytes) and row.gpu_hours > 0 for row in trained)
    assert {row.stage for row in trained if row.misfit} == {
        sentence.split()[0] for sentence in plan.misfits if not sentence.startswith("base ")
    }
    assert plan.device_bytes == 80e9
    if scale == "gpu" and name != "released_weights":
        # one accelerator is enough for all of them, as they are configured
        assert plan.misfits == []
    assert plan_text.render(plan, tmp_path, memory=True)


@pytest.mark.parametrize("scale", ["gpu", "paper"])
@pytest.mark.parametrize("name", ["rl_algorithm", "rl_family", "iterative_rl"])
def test_arms_held_to_equal_flops_are_planned_with_equal_flops(
    name: str, scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSM_STORE", str(tmp_path))
    sweep = expand([f"sweep={name}", f"scale={scale}", "sweep.replicates.seeds=[0]"])
    assert sweep.claim.equal.startswith("FLOPs")
    _, _, plan = prepare(sweep, stages.registry(), files_may_lack=True)
    spent = [row.flops for row in plan.rows if row.stage == "rl"]
    assert len(spent) > 1 and spent == pytest.approx([spent[0]] * len(spent))


def test_grpo_takes_the_papers_steps_within_the_budget_of_flops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§4.2: 144K questions, 16 a step, once."""
    monkeypatch.setenv("DSM_STORE", str(tmp_path))
    _, _, plan = prepare(expand(["scale=paper"]), stages.registry(), files_may_lack=True)
    (row,) = [row for row in plan.rows if row.stage == "rl"]
    (note,) = [note for note in row.notes if note.startswith("stops after")]
    steps = int(note.rpartition("about ")[2].partition(" ")[0])
    assert steps == pytest.approx(144_000 / 16, rel=0.01)
