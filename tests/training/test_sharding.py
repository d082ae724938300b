"""What the trainer is told about shards; training in them is in ``tests/processes/test_shared_training.py``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.execution_schema import ExecutionConfig
from dsm_repro.training import sharding


def test_fsdp2_is_the_plugin_of_accelerate() -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from transformers import TrainingArguments

    fields = sharding.sharding_fields(ExecutionConfig(processes=2, sharding="fsdp2"))
    args = TrainingArguments(output_dir="unused", use_cpu=True, report_to="none", **fields)
    plugin = FullyShardedDataParallelPlugin(**args.fsdp_plugin_args)
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"


def test_fsdp2_leaves_precision_to_autocast_and_adds_gradients_up_in_float32(tmp_path: Path) -> None:
    """accelerate would gather weights, pass activations on and sum gradients in bfloat16."""
    import torch
    from accelerate.utils import FullyShardedDataParallelPlugin
    from transformers import TrainingArguments

    fields = sharding.sharding_fields(ExecutionConfig(processes=2, sharding="fsdp2"))
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, bf16=True, report_to="none", **fields)
    sharding.compute_as_without(args)
    plugin = FullyShardedDataParallelPlugin(**args.fsdp_plugin_args)
    # what accelerate does where nothing was said
    plugin.set_mixed_precision("bf16")
    policy = plugin.mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype, policy.output_dtype) == (None, torch.float32, None)
    # no process holds whole gradients between its passes
    assert args.accelerator_config.gradient_accumulation_kwargs == {"sync_each_batch": True}


def test_zero3_leaves_batch_and_precision_to_the_trainer() -> None:
    fields = sharding.sharding_fields(ExecutionConfig(processes=2, sharding="zero3"))
    told = fields["deepspeed"]
    assert fields["fsdp"] is None and told["zero_optimization"]["stage"] == 3
    # the artifact is made of whole weights
    assert told["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"]
    assert {told[key] for key in told if key.endswith(("batch_size", "steps", "clipping", "gpu"))} == {"auto"}


def test_without_shards_the_trainer_is_told_so() -> None:
    fields = sharding.sharding_fields(ExecutionConfig(processes=2))
    assert list(fields.values()) == [None, None, None, None]


@pytest.mark.parametrize("kind", ["fsdp2", "zero3"])
def test_a_library_that_does_not_shard_is_an_error(kind: str) -> None:
    trainer = SimpleNamespace(
        is_fsdp_enabled=False, is_deepspeed_enabled=False, args=SimpleNamespace(device=SimpleNamespace(type="tpu"))
    )
    with pytest.raises(ConfigError, match=f"execution.sharding={kind}: .* does not shard on tpu"):
        sharding.check_sharded(trainer, ExecutionConfig(sharding=kind))  # type: ignore[arg-type]
    sharding.check_sharded(trainer, ExecutionConfig())  # type: ignore[arg-type]
