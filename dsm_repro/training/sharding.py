"""Weights, gradients and optimiser cut up among processes: what the library is told, and the whole model at the end."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs
from torch import nn
from transformers import Trainer, TrainingArguments

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.execution_schema import ExecutionConfig

#: ZeRO-3; the trainer fills in what is "auto" from its own arguments
ZERO3 = {
    "zero_optimization": {
        "stage": 3,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "stage3_gather_16bit_weights_on_model_save": True,
    },
    # AdamW is the trainer's, as without sharding
    "zero_allow_untested_optimizer": True,
    "bf16": {"enabled": "auto"},
    "gradient_clipping": "auto",
    "gradient_accumulation_steps": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
}


def sharding_fields(execution: ExecutionConfig) -> dict[str, Any]:
    """Fields of ``TrainingArguments``."""
    fsdp = execution.sharding == "fsdp2"
    return {
        "fsdp": fsdp or None,
        "fsdp_config": {
            "version": 2,
            # one unit for each layer, gathered when it is computed
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            # a checkpoint of whole weights is read by any number of processes
            "state_dict_type": "FULL_STATE_DICT",
        }
        if fsdp
        else None,
        # else each process holds whole gradients until the last of its passes
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}} if fsdp else None,
        "deepspeed": ZERO3 if execution.sharding == "zero3" else None,
    }


def compute_as_without(args: TrainingArguments) -> None:
    """Before the accelerator is made: shards are gathered, and gradients added up, in the type of the weights.

    Where ``bf16`` is set accelerate would have FSDP2 do both in bfloat16: norms, their weights and the residual stream
    too, which autocast leaves in float32, and the sum over processes.
    """
    if args.fsdp_plugin_args is not None:
        from torch.distributed.fsdp import MixedPrecisionPolicy

        args.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(reduce_dtype=torch.float32)


def drop_casts(accelerator: Accelerator) -> None:
    """Once FSDP2's accelerator is made: autocast would keep each weight that it cast until the forward pass ends."""
    if accelerator.is_fsdp2:
        accelerator.autocast_handler = AutocastKwargs(cache_enabled=False)


def allow_on_cpu(args: TrainingArguments) -> None:
    """Before the accelerator is made: accelerate shards on accelerators only, and on CPUs leaves it without a word.

    torch shards on both, so the distributed run is given out for an accelerator's.
    """
    if args.fsdp and args.device.type == "cpu":
        from accelerate import PartialState
        from accelerate.utils import DistributedType

        PartialState().distributed_type = DistributedType.MULTI_XPU


def check_sharded(trainer: Trainer, execution: ExecutionConfig) -> None:
    """Raises ConfigError where the library did not do as it was told."""
    does = {"fsdp2": trainer.is_fsdp_enabled, "zero3": trainer.is_deepspeed_enabled}
    if not does.get(execution.sharding, True):
        raise ConfigError(
            f"execution.sharding={execution.sharding}: accelerate {version('accelerate')} does not shard on "
            f"{trainer.args.device.type}. Set execution.sharding=none."
        )


def make_whole(trainer: Trainer, model: nn.Module) -> None:
    """Give ``model``, which ``trainer`` has cut up, its whole weights again: in the first process, on the CPU.

    All processes call this; in the others the model is of no use afterwards.
    """
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.args.process_index > 0:
        return
    for place, module in model.named_modules():
        _take_apart(module)
        for name, parameter in module._parameters.items():
            if parameter is not None:
                whole = state[f"{place}.{name}" if place else name]
                module._parameters[name] = nn.Parameter(whole, requires_grad=parameter.requires_grad)
    if hasattr(model, "tie_weights"):
        model.tie_weights()


def _take_apart(module: nn.Module) -> None:
    """FSDP2 makes a module's class one that gathers its weights: put the original one back."""
    from torch.distributed.fsdp import FSDPModule

    if isinstance(module, FSDPModule):
        module.__class__ = next(kind for kind in type(module).__bases__ if kind is not FSDPModule)
