"""What cannot fit is refused before anything runs, with what would make it fit; a plan is printed in any case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sweep_stages import REGISTRY

from dsm_repro import stages
from dsm_repro.config.compose import expand
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.execution_schema import ExecutionConfig, HardwareConfig
from dsm_repro.config.model_schema import ModelSpec
from dsm_repro.config.schema import Config
from dsm_repro.pipeline import device, fit, plan_text
from dsm_repro.pipeline.device import Device, device_of
from dsm_repro.pipeline.memory import MemoryParts
from dsm_repro.pipeline.plan import expected_seconds
from dsm_repro.pipeline.stage import Estimate
from dsm_repro.pipeline.sweeper import execute, prepare

GPU = Device("cuda", "a GPU", 80e9, 1e14, 1e13, "1e14 FLOP/s")


def needing(size_of_row: float, fixed: float = 10e9) -> fit.Estimator:
    """A stage whose memory is a fixed part and so much for each row of a pass."""

    def estimate(config: Config) -> Estimate:
        rows = config.execution.micro_batch
        return Estimate(memory=MemoryParts("update", weights=fixed, activations=rows * size_of_row))

    return estimate


def with_rows(rows: int) -> Config:
    return Config(execution=ExecutionConfig(device="cuda", micro_batch=rows))


def test_what_fits_or_cannot_be_known_is_no_misfit() -> None:
    assert fit.of_stage("sft", with_rows(8), needing(1e9), GPU) is None
    assert fit.of_stage("sft", with_rows(800), needing(1e9), replace(GPU, memory_bytes=None)) is None


def test_a_misfit_names_its_parts_and_the_largest_pass_that_fits() -> None:
    misfit = fit.of_stage("pretrain", with_rows(256), needing(1e9), GPU)
    assert misfit is not None
    assert misfit.sentence == (
        "pretrain needs 266 GB and a GPU has 80 GB, at its update: activations 256 GB, weights 10 GB. "
        "Set execution.micro_batch=64; or set execution.processes=2 execution.sharding=fsdp2 "
        "execution.micro_batch=1; or use a device of 266 GB or more."
    )


def test_weights_that_do_not_fit_alone_are_not_answered_by_a_smaller_pass() -> None:
    misfit = fit.of_stage("pretrain", with_rows(8), needing(1e6, fixed=100e9), GPU)
    assert misfit is not None
    assert "micro_batch" not in misfit.sentence


def test_rollouts_that_do_not_fit_are_written_in_parts() -> None:
    """Keys and values of 1 GB for each completion that is written at once."""

    def estimate(config: Config) -> Estimate:
        rows = config.execution.sampling_rows or config.rl.questions_per_step * config.rl.group_size
        return Estimate(memory=MemoryParts("rollouts", weights=10e9, cache=rows * 1e9))

    config = with_rows(8)
    config.rl.questions_per_step, config.rl.group_size = 16, 64
    misfit = fit.of_stage("rl", config, estimate, GPU)
    assert misfit is not None
    assert "Set execution.sampling_rows=64; or use a device" in misfit.sentence


def test_what_is_enough_alone_is_not_advised_together_with_more() -> None:
    """Adapters, or two processes, are enough; a smaller pass beside them saves nothing, being as small as it can be."""

    def estimate(config: Config) -> Estimate:
        small = config.tuning.method == "lora" or config.execution.processes_in_all > 1
        return Estimate(memory=MemoryParts("update", weights=10e9 if small else 100e9))

    misfit = fit.of_stage("sft", with_rows(1), estimate, GPU)
    assert misfit is not None
    assert misfit.advice == (
        "set tuning=lora (adapters, another experiment)",
        "set execution.processes=2 execution.sharding=fsdp2",
        "use a device of 100 GB or more",
    )


def test_stages_at_once_share_the_memory_of_the_machine() -> None:
    wave = [("rl", 6e9), ("sft", 5e9), ("evaluate", 1e9)]
    misfit = fit.at_once(wave, 2, 10e9)
    assert misfit is not None
    assert "rl and sft at once" in misfit.sentence
    assert "execution.workers=1" in misfit.sentence
    assert fit.at_once(wave, 2, 11e9) is None
    assert fit.at_once(wave, 1, 7e9) is None


def test_a_run_that_cannot_fit_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSM_STORE", str(tmp_path / "store"))
    small = ["execution.hardware.ask=false", "execution.hardware.memory_bytes=1000000", "execution.device=cpu"]
    sweep = expand(["until=base", *small])
    _, _, plan = prepare(sweep, stages.registry(), files_may_lack=True)
    assert any(row.misfit for row in plan.rows)
    assert "Does not fit: base needs" in "".join(str(part) for part in plan_text.render(plan, tmp_path))
    with pytest.raises(ConfigError, match=r"memory: base needs .* this machine has 0.001 GB(.|\n)*memory_bytes"):
        execute(sweep, stages.registry(), lambda specs, first, workers: pytest.fail("launched"))
    assert not (tmp_path / "store").exists()


def test_where_nobody_knows_the_memory_nothing_is_refused_and_the_plan_says_so(tmp_path: Path) -> None:
    words = ["execution.hardware.ask=false", "execution.device=cuda"]
    _, _, plan = prepare(expand(["until=base", *words]), REGISTRY)
    assert plan.misfits == []
    said = "".join(str(part) for part in plan_text.render(plan, tmp_path))
    assert "; memory of the GPU unknown (set execution.hardware.memory_bytes), so nothing is refused." in said


def test_a_gpu_of_this_machine_is_asked_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_gpu", lambda: ("a small one", 24e9))
    stated = HardwareConfig(name="a large one", memory_bytes=80e9, peak_flops=1e15, utilisation=0.5)
    asked = device_of(ExecutionConfig(device="cuda", hardware=stated))
    assert (asked.name, asked.memory_bytes, asked.rate) == ("a small one", 24e9, 5e14)
    told = device_of(ExecutionConfig(device="cuda", hardware=replace(stated, ask=False)))
    assert (told.name, told.memory_bytes) == ("a large one", 80e9)


def test_the_memory_of_a_container_counts_where_it_is_smaller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(device, "CGROUP_LIMIT", limit)
    whole = device.machine_memory()
    limit.write_text("1000000\n")
    assert device.machine_memory() == 1e6
    limit.write_text("max\n")
    assert device.machine_memory() == whole


def test_writing_is_slower_than_training_and_devices_share_the_time() -> None:
    together = expected_seconds(Estimate(flops=3e14, decoding_flops=1e14, devices=4), [], GPU)[0]
    assert together == pytest.approx((2 + 10) / 4)


def test_a_model_whose_size_nobody_says_has_no_memory_and_a_note() -> None:
    config = Config()
    config.scale.models = {"coder": ModelSpec(path="hub/model")}
    estimate = stages.load("sft").estimate(config)
    assert estimate.memory is None
    assert "size of hub/model unknown" in estimate.notes[0]
