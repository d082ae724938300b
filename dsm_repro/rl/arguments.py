"""TRL's ``GRPOConfig``, with every field that touches the objective, the sampling or the optimiser said.

None is left to a default of TRL or transformers: their "GRPO" is another objective (token mean over the
batch, no KL term), and defaults change between releases. A test enumerates the fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import GRPOConfig

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.config.schema import TrackerConfig
from dsm_repro.pipeline.tracker import trainer_fields

#: a run that stops at a FLOP budget has no step limit of its own
UNLIMITED_STEPS = 1_000_000_000
ADAM_EPSILON = 1e-8


def objective_fields(rl: RLConfig) -> dict[str, Any]:
    """The loss: Eq. 3 and nothing else, but for its KL term, which ``trainer.py`` takes from the estimator."""
    return {
        # per-output mean, then mean over outputs
        "loss_type": "grpo",
        "importance_sampling_level": "token",
        "num_iterations": rl.updates_per_exploration,
        "epsilon": rl.clip_epsilon,
        "epsilon_high": rl.clip_epsilon,
        "delta": None,
        # else TRL loads a reference of its own, and spreads it over all GPUs that one process sees
        "beta": 0.0,
        "use_bias_correction_kl": False,
        "scale_rewards": "group",
        "reward_weights": [1.0],
        "multi_objective_aggregation": "sum_then_normalize",
        "mask_truncated_completions": False,
        "top_entropy_quantile": 1.0,
        "entropy_coef": 0.0,
        "use_adaptive_entropy": False,
        "off_policy_mask_threshold": None,
        "router_aux_loss_coef": 0.0,
        "label_smoothing_factor": 0.0,
        "neftune_noise_alpha": None,
        "disable_dropout": True,
        # the reference is the SFT model, frozen
        "sync_ref_model": False,
        "use_vllm": False,
        "vllm_importance_sampling_correction": False,
        # inert under loss_type "grpo", use_adaptive_entropy False, sync_ref_model False and no vLLM
        "sapo_temperature_neg": 1.0,
        "sapo_temperature_pos": 1.0,
        "vespo_k_pos": 1.0,
        "vespo_lambda_pos": 1.0,
        "vespo_k_neg": 1.0,
        "vespo_lambda_neg": 1.0,
        "entropy_coef_min": 0.0,
        "entropy_coef_max": 0.0,
        "entropy_coef_delta": 0.0,
        "entropy_target": 0.0,
        "ref_model_mixup_alpha": 1.0,
        "ref_model_sync_steps": UNLIMITED_STEPS,
        "vllm_importance_sampling_mode": "token_mask",
        "vllm_importance_sampling_clip_max": None,
        "vllm_importance_sampling_clip_min": None,
    }


def sampling_fields(rl: RLConfig) -> dict[str, Any]:
    """The rollouts. They are drawn by ``rollouts.py``; TRL's own loss reads ``temperature``."""
    batch = rl.questions_per_step * rl.group_size
    return {
        # TRL wants groups of two or more; without groups (PPO) the batch is one
        "num_generations": rl.group_size if rl.group_size > 1 else batch,
        "num_generations_eval": None,
        "max_completion_length": rl.max_completion_length,
        "per_device_train_batch_size": batch,
        # micro-batches are cut inside a step: see trainer.py
        "gradient_accumulation_steps": 1,
        "generation_batch_size": None,
        "steps_per_generation": 1,
        "shuffle_dataset": False,
        "temperature": rl.temperature,
        "top_p": rl.top_p,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "generation_kwargs": None,
        "chat_template_kwargs": None,
        "cache_implementation": None,
        "max_tool_calling_iterations": None,
    }


def optimiser_fields(rl: RLConfig) -> dict[str, Any]:
    """AdamW at a constant rate."""
    steps = int(rl.budget.amount) if rl.budget.unit == "steps" else UNLIMITED_STEPS
    return {
        "max_steps": steps,
        # max_steps decides
        "num_train_epochs": 1.0,
        "optim": "adamw_torch_fused",
        "optim_args": None,
        "optim_target_modules": None,
        "learning_rate": rl.learning_rate,
        "lr_scheduler_type": "constant",
        "lr_scheduler_kwargs": None,
        "warmup_steps": 0,
        "adam_beta1": rl.adam_beta1,
        "adam_beta2": rl.adam_beta2,
        "adam_epsilon": ADAM_EPSILON,
        "weight_decay": rl.weight_decay,
        "max_grad_norm": rl.max_grad_norm,
        "average_tokens_across_devices": False,
    }


def numeric_fields(dtype: str, device: str, seed: int) -> dict[str, Any]:
    """Precision and seeds. Weights stay float32; ``bfloat16`` runs the products under autocast."""
    return {
        "bf16": dtype == "bfloat16",
        "fp16": False,
        "tf32": None,
        "cast_lm_head_to_fp32": False,
        "use_cpu": device == "cpu",
        "seed": seed,
        "data_seed": seed,
        "full_determinism": False,
        "torch_compile": False,
        "use_liger_kernel": False,
        # the old name of the same field is still read where the new one is not set
        "activation_checkpointing": False,
        "gradient_checkpointing": False,
        "pad_to_multiple_of": None,
        "auto_find_batch_size": False,
        "model_init_kwargs": None,
    }


def bookkeeping_fields(scratch: Path, tracker: TrackerConfig | None = None) -> dict[str, Any]:
    """Everything that is not mathematics: the trainer logs, stops and saves by its own callbacks."""
    return {
        "output_dir": str(scratch),
        "ignore_data_skip": True,
        "remove_unused_columns": False,
        "eval_strategy": "no",
        "save_strategy": "no",
        "save_total_limit": None,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "log_completions": False,
        "log_level": "error",
        "disable_tqdm": True,
        **trainer_fields(tracker or TrackerConfig()),
        "push_to_hub": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }


def all_fields(
    rl: RLConfig, dtype: str, device: str, seed: int, scratch: Path, tracker: TrackerConfig | None = None
) -> dict[str, Any]:
    """Every field that is said."""
    return {
        **objective_fields(rl),
        **sampling_fields(rl),
        **optimiser_fields(rl),
        **numeric_fields(dtype, device, seed),
        **bookkeeping_fields(scratch, tracker),
    }


def grpo_config(
    rl: RLConfig, dtype: str, device: str, seed: int, scratch: Path, tracker: TrackerConfig | None = None
) -> GRPOConfig:
    """The arguments of the trainer, for GRPO and PPO alike."""
    return GRPOConfig(**all_fields(rl, dtype, device, seed, scratch, tracker))
