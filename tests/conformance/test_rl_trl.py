"""Our loss against TRL's own on the same batch, and no objective field left to a library's default."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from rl_world import make_config, make_model_folder, make_trainer
from trl import GRPOConfig, GRPOTrainer

from dsm_repro.config.schema import RLConfig
from dsm_repro.rl.arguments import all_fields, grpo_config

#: fields of GRPOConfig that cannot change objective, sampling or optimiser. A field of a new release is in
#: neither list, and fails the test until somebody has read what it does.
NOT_MATHEMATICS = {
    # logging, hub, bookkeeping
    "log_on_each_node logging_first_step log_level_replica include_num_input_tokens_seen run_name project",
    "trackio_space_id trackio_bucket_id trackio_static_space_id hub_token hub_private_repo hub_model_id hub_strategy",
    "hub_always_push hub_revision log_multimodal num_completions_to_print log_unique_prompts log_completions_hub_repo",
    "save_steps save_on_each_node save_only_model enable_jit_checkpoint restore_callback_states_from_checkpoint",
    "resume_from_checkpoint debug skip_memory_metrics do_train do_predict do_eval trust_remote_code",
    # evaluation inside the trainer: not used
    "eval_steps eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start eval_do_concat_batches",
    "eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics load_best_model_at_end",
    "metric_for_best_model greater_is_better bf16_full_eval fp16_full_eval",
    # memory, compilation, placement
    "activation_checkpointing_kwargs gradient_checkpointing_kwargs torch_compile_backend torch_compile_mode",
    "liger_kernel_config use_cache torch_empty_cache_steps accelerator_config parallelism_config",
    "ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph ddp_backend ddp_timeout",
    "fsdp fsdp_config deepspeed local_rank ds3_gather_for_generation",
    # the loader only counts
    "dataloader_drop_last dataloader_persistent_workers dataloader_prefetch_factor dataloader_in_order",
    "dataloader_multiprocessing_context label_names train_sampling_strategy length_column_name",
    # engines that are not used
    "vllm_mode vllm_model_impl vllm_enable_sleep_mode vllm_structured_outputs_regex vllm_server_base_url",
    "vllm_server_host vllm_server_port vllm_server_timeout vllm_group_port vllm_gpu_memory_utilization",
    "vllm_max_model_length vllm_tensor_parallel_size vllm_importance_sampling_cap",
    "use_transformers_continuous_batching transformers_continuous_batching_config use_transformers_paged",
}


def test_no_objective_sampling_or_optimiser_field_is_left_to_a_default(tmp_path: Path) -> None:
    said = set(all_fields(RLConfig(), 0.04, "float32", "cpu", 0, tmp_path))
    harmless = {name for line in NOT_MATHEMATICS for name in line.split()}
    known = {field.name for field in fields(GRPOConfig)}
    assert known - said - harmless == set()
    assert (said | harmless) - known == set()
    assert said & harmless == set()


def test_the_config_that_trl_sees_says_what_the_paper_says(tmp_path: Path) -> None:
    rl = RLConfig(group_size=64, questions_per_step=16, clip_epsilon=0.3)
    args = grpo_config(rl, rl.kl_coefficient, "float32", "cpu", 7, tmp_path)
    assert (args.loss_type, args.importance_sampling_level, args.beta) == ("grpo", "token", 0.04)
    assert (args.num_generations, args.generation_batch_size, args.num_iterations) == (64, 1024, 1)
    assert (args.epsilon, args.epsilon_high, args.learning_rate, args.lr_scheduler_type) == (0.3, 0.3, 1e-6, "constant")
    assert args.weight_decay == 0.0 and args.max_grad_norm == 1.0 and not args.mask_truncated_completions


@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_our_loss_and_its_gradient_agree_with_trl(tmp_path: Path, beta: float) -> None:
    config = make_config()
    config.rl.kl_coefficient, config.rl.temperature = beta, 0.8
    trainer = make_trainer(make_model_folder(tmp_path / "model"), tmp_path / "scratch", config)
    trainer.current_gradient_accumulation_steps = 1
    experience = trainer.explore(0)
    with torch.no_grad():  # away from the reference, so that the KL term has a gradient
        for number, weight in enumerate(trainer.model.parameters()):
            noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number), dtype=weight.dtype)
            weight += 0.02 * noise
    batch = experience.batch
    ours = trainer.batch_loss(trainer.model, experience, torch.Tensor.backward)
    gradient = [weight.grad.clone() for weight in trainer.model.parameters()]
    trainer.model.zero_grad()
    trainer.model.train()
    inputs = {
        "prompt_ids": batch.prompt_ids[batch.owner],
        "prompt_mask": batch.prompt_mask[batch.owner],
        "completion_ids": batch.completion_ids,
        "completion_mask": batch.completion_mask,
        "advantages": experience.advantages,
        "ref_per_token_logps": experience.ref_logps,
    }
    theirs = GRPOTrainer._compute_loss(trainer, trainer.model, inputs)
    theirs.backward()
    assert float(experience.advantages.abs().max()) > 0.5
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    for weight, mine in zip(trainer.model.parameters(), gradient, strict=True):
        assert torch.allclose(weight.grad, mine, atol=1e-6)
