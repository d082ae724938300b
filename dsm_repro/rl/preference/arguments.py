"""TRL's ``DPOConfig``, with every field that touches the objective, the data or the optimiser said.

Optimiser, precision and bookkeeping are those of the policy-gradient methods. A test enumerates the fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import DPOConfig

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.config.schema import TrackerConfig
from dsm_repro.rl.arguments import UNLIMITED_STEPS, bookkeeping_fields, numeric_fields, optimiser_fields
from dsm_repro.rl.estimators.dpo import DPO

#: fields that only ``GRPOConfig`` has
_GRPO_ONLY = {"cast_lm_head_to_fp32", "log_completions"}


def objective_fields(dpo: DPO) -> dict[str, Any]:
    """-log sigmoid(beta (log-ratio of o+ minus log-ratio of o-)) and nothing else, the mean over pairs."""
    return {
        "loss_type": ["sigmoid"],
        "loss_weights": [1.0],
        "beta": dpo.beta,
        "f_divergence_type": "reverse_kl",
        "label_smoothing": 0.0,
        "label_smoothing_factor": 0.0,
        "ld_alpha": None,
        "use_weighting": False,
        "router_aux_loss_coef": 0.0,
        "neftune_noise_alpha": None,
        "disable_dropout": True,
        # the reference is the starting model, frozen
        "sync_ref_model": False,
        "precompute_ref_log_probs": False,
        # inert under loss_type "sigmoid", f_divergence_type "reverse_kl" and sync_ref_model False
        "f_alpha_divergence_coef": 0.5,
        "discopop_tau": 0.05,
        "ref_model_mixup_alpha": 1.0,
        "ref_model_sync_steps": UNLIMITED_STEPS,
    }


def data_fields(dpo: DPO) -> dict[str, Any]:
    """The batch: whole pairs. The model's context is checked before, so nothing is ever cut."""
    return {
        "max_length": None,
        "truncation_mode": "keep_start",
        "padding_free": False,
        "per_device_train_batch_size": dpo.pairs_per_step,
        # micro-batches are cut inside a step: see trainer.py
        "gradient_accumulation_steps": 1,
        "precompute_ref_batch_size": None,
    }


def all_fields(
    rl: RLConfig, dpo: DPO, dtype: str, device: str, seed: int, scratch: Path, tracker: TrackerConfig | None = None
) -> dict[str, Any]:
    """Every field that is said."""
    shared = {**optimiser_fields(rl), **numeric_fields(dtype, device, seed), **bookkeeping_fields(scratch, tracker)}
    return {
        **objective_fields(dpo),
        **data_fields(dpo),
        **{name: value for name, value in shared.items() if name not in _GRPO_ONLY},
    }


def dpo_config(
    rl: RLConfig, dpo: DPO, dtype: str, device: str, seed: int, scratch: Path, tracker: TrackerConfig | None = None
) -> DPOConfig:
    """The arguments of the trainer."""
    return DPOConfig(**all_fields(rl, dpo, dtype, device, seed, scratch, tracker))
