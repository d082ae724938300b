"""The trainer's arguments: every field that touches the mathematics is said, none is left to a library default."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel, TrainingArguments

from dsm_repro.config.errors import ConfigError
from dsm_repro.pipeline.stage import StageContext
from dsm_repro.pipeline.tracker import trainer_fields
from dsm_repro.training.batching import RECOMPUTE_FROM, rows_at_once, split_batch
from dsm_repro.training.models import resolve_device
from dsm_repro.training.sharding import sharding_fields
from dsm_repro.training.trainer import Optimisation


def common_fields(
    ctx: StageContext, model: PreTrainedModel, opt: Optimisation, dtype: str, row_length: int
) -> dict[str, Any]:
    """Fields for ``TrainingArguments`` and the configs that derive from it (``SFTConfig``).

    Weights stay float32; ``dtype="bfloat16"`` runs the products in bfloat16 (autocast). ``row_length``
    is the longest row's: with ``execution.micro_batch`` it bounds a forward pass.

    Raises:
        ConfigError: a dtype that training does not support.
    """
    from accelerate import PartialState

    if dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"base.dtype={dtype}: training runs in float32 or bfloat16. Set one of these.")
    device = resolve_device(ctx.config.execution)
    processes = PartialState(cpu=device == "cpu").num_processes
    micro_batch = rows_at_once(ctx.config.execution.micro_batch, device, row_length)
    rows, accumulation = split_batch(opt.batch_size, micro_batch, processes)
    return {
        "output_dir": str(ctx.scratch),
        "max_steps": opt.steps,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": accumulation,
        # the loss is the mean over the target tokens of the whole batch, whatever device they are on
        "average_tokens_across_devices": True,
        # every weight has a part in every forward pass
        "ddp_find_unused_parameters": False,
        "optim": "adamw_torch_fused",
        "learning_rate": opt.learning_rate,
        "adam_beta1": opt.adam_beta1,
        "adam_beta2": opt.adam_beta2,
        "adam_epsilon": opt.adam_epsilon,
        "weight_decay": opt.weight_decay,
        "max_grad_norm": opt.max_grad_norm,
        # replaced by Optimisation.factor
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "label_smoothing_factor": 0.0,
        "neftune_noise_alpha": None,
        "seed": opt.seed,
        "data_seed": opt.seed,
        **sharding_fields(ctx.config.execution),
        "bf16": dtype == "bfloat16",
        "fp16": False,
        "use_cpu": device == "cpu",
        "activation_checkpointing": model.num_parameters() >= RECOMPUTE_FROM,
        "torch_compile": False,
        "use_liger_kernel": False,
        "train_sampling_strategy": "sequential",
        "dataloader_num_workers": 0,
        "dataloader_drop_last": False,
        "dataloader_pin_memory": device == "cuda",
        "remove_unused_columns": False,
        "ignore_data_skip": False,
        "eval_strategy": "no",
        # checkpoints go by the clock: see callbacks.Checkpoints
        "save_strategy": "no",
        "save_total_limit": None,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "log_level": "error",
        "disable_tqdm": True,
        **trainer_fields(ctx.config.tracker),
        "push_to_hub": False,
    }


def one_device_per_process(args: TrainingArguments) -> None:
    """Several visible GPUs and one process would mean ``DataParallel``, which changes the loss's normalisation."""
    if args.n_gpu > 1:
        args._n_gpu = 1


def trainer_arguments(
    ctx: StageContext, model: PreTrainedModel, opt: Optimisation, dtype: str, row_length: int
) -> TrainingArguments:
    """Arguments of a plain language-model run. Raises as :func:`common_fields`."""
    args = TrainingArguments(**common_fields(ctx, model, opt, dtype, row_length))
    one_device_per_process(args)
    return args
