"""Our loss against TRL's own on the same batch, and no objective field left to a library's default."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from rl_world import make_config, make_model_folder, make_trainer
from trl import GRPOConfig, GRPOTrainer, RLOOTrainer

from dsm_repro.config.rl_schema import RLConfig
from dsm_repro.config.schema import Config
from dsm_repro.rl.arguments import all_fields, grpo_config
from dsm_repro.rl.batch import completion_logps
from dsm_repro.rl.estimators import Estimator
from dsm_repro.rl.estimators.cispo import CISPO
from dsm_repro.rl.estimators.dapo import DAPO
from dsm_repro.rl.estimators.grpo import GRPO
from dsm_repro.rl.estimators.gspo import GSPO
from dsm_repro.rl.estimators.rloo import RLOO
from dsm_repro.rl.trainer import Experience, PolicyGradientTrainer

#: fields of GRPOConfig that cannot change objective, sampling or optimiser. A field of a new release is in
#: neither list, and fails the test until somebody has read what it does.
NOT_MATHEMATICS = {
    # logging, hub, bookkeeping
    "log_on_each_node logging_first_step log_level_replica include_num_input_tokens_seen",
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
    said = set(all_fields(RLConfig(), "float32", "cpu", 0, tmp_path))
    harmless = {name for line in NOT_MATHEMATICS for name in line.split()}
    known = {field.name for field in fields(GRPOConfig)}
    assert known - said - harmless == set()
    assert (said | harmless) - known == set()
    assert said & harmless == set()


def test_the_config_that_trl_sees_says_what_the_paper_says(tmp_path: Path) -> None:
    rl = RLConfig(group_size=64, questions_per_step=16, clip_epsilon=0.3)
    args = grpo_config(rl, "float32", "cpu", 7, tmp_path)
    # the KL term is the estimator's, so that TRL loads no reference of its own
    assert (args.loss_type, args.importance_sampling_level, args.beta) == ("grpo", "token", 0.0)
    assert (args.num_generations, args.generation_batch_size, args.num_iterations) == (64, 1024, 1)
    assert (args.epsilon, args.epsilon_high, args.learning_rate, args.lr_scheduler_type) == (0.3, 0.3, 1e-6, "constant")
    assert args.weight_decay == 0.0 and args.max_grad_norm == 1.0 and not args.mask_truncated_completions


#: method -> what TRL calls it
LOSS_TYPES = {
    "grpo": {"loss_type": "grpo"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "dapo": {"loss_type": "dapo"},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    "cispo": {"loss_type": "cispo"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "model")


def move(trainer: PolicyGradientTrainer) -> None:
    """Away from reference and old policy, so that the KL term and the ratio have a gradient."""
    with torch.no_grad():
        for number, weight in enumerate(trainer.model.parameters()):
            noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number), dtype=weight.dtype)
            weight += 0.02 * noise


def explored(folder: Path, scratch: Path, config: Config) -> tuple[PolicyGradientTrainer, Experience]:
    """A trainer that has explored, with completions of several lengths, and has made an update where it makes two."""
    trainer = make_trainer(folder, scratch, config)
    trainer.current_gradient_accumulation_steps = 1
    trainer.explorer.eos_ids = list(range(1, 60))
    experience = trainer.explore(0)
    assert experience.batch.lengths.unique().numel() > 1
    if config.rl.updates_per_exploration > 1:
        trainer.batch_loss(trainer.model, experience, lambda loss: None)
    move(trainer)
    return trainer, experience


def our_step(trainer: PolicyGradientTrainer, experience: Experience) -> tuple[float, list[torch.Tensor]]:
    trainer.model.zero_grad()
    loss = trainer.batch_loss(trainer.model, experience, torch.Tensor.backward).item()
    gradient = [weight.grad.clone() for weight in trainer.model.parameters()]
    trainer.model.zero_grad()
    trainer.model.train()
    return loss, gradient


def trl_inputs(trainer: PolicyGradientTrainer, experience: Experience) -> dict[str, torch.Tensor]:
    batch = experience.batch
    inputs = {
        "prompt_ids": batch.prompt_ids[batch.owner],
        "prompt_mask": batch.prompt_mask[batch.owner],
        "completion_ids": batch.completion_ids,
        "completion_mask": batch.completion_mask,
        "advantages": experience.advantages,
        "ref_per_token_logps": experience.ref_logps,
        "num_items_in_batch": batch.completion_mask.sum(),
    }
    if experience.old_logps:
        old = torch.zeros_like(experience.advantages)
        for (index, part), logps in zip(batch.micro_batches(trainer.micro_batch), experience.old_logps, strict=True):
            old[index, : part.completion_ids.shape[1]] = logps
        inputs["old_per_token_logps"] = old
    return inputs


@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.parametrize(
    ("method", "beta"), [("grpo", 0.0), ("grpo", 0.04), ("gspo", 0.04), ("dr_grpo", 0), ("dapo", 0), ("cispo", 0)]
)
def test_our_loss_and_its_gradient_agree_with_trl(
    folder: Path, tmp_path: Path, method: str, beta: float, updates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(method)
    config.rl.kl_coefficient, config.rl.temperature, config.rl.updates_per_exploration = beta, 0.8, updates
    if method == "cispo":
        config.rl.options = {"clip_high": 0.1}
    trainer, experience = explored(folder, tmp_path, config)
    ours, gradient = our_step(trainer, experience)
    estimator = trainer.estimator
    said = {
        "importance_sampling_level": "token",
        "beta": estimator.loss_kl_coefficient,
        "epsilon_low": estimator.clip_low,
        # TRL's bound of the weight is absolute
        "epsilon_high": estimator.clip_high + (method == "cispo"),
        "max_completion_length": config.rl.max_completion_length,
        **LOSS_TYPES[method],
    }
    for name, value in said.items():
        monkeypatch.setattr(trainer, name, value)
    theirs = GRPOTrainer._compute_loss(trainer, trainer.model, trl_inputs(trainer, experience))
    theirs.backward()
    clipped = {name: values[-1] for name, values in trainer._metrics["train"].items() if "clip" in name}
    assert any(value > 0 for value in clipped.values()) == (updates > 1)
    assert float(experience.advantages.abs().max()) > 0.5
    if method == "cispo" and updates == 1:
        # the method that has the same gradient is run in its place; its surrogate has another value
        assert type(estimator).__name__ == "DAPO"
    else:
        assert ours == pytest.approx(theirs.item(), abs=1e-6)
    for weight, mine in zip(trainer.model.parameters(), gradient, strict=True):
        assert torch.allclose(weight.grad, mine, atol=1e-6)


def test_rloo_agrees_with_trl_at_one_update(folder: Path, tmp_path: Path) -> None:
    """TRL clips the ratio of whole sequences, we that of tokens: at one update both are 1."""
    config = make_config("rloo")
    config.rl.kl_coefficient = 0.04
    trainer, experience = explored(folder, tmp_path, config)
    _, gradient = our_step(trainer, experience)
    inputs = trl_inputs(trainer, experience)
    with torch.no_grad():
        logps = completion_logps(trainer.model, experience.batch, config.rl.temperature)
    inputs["old_logps"] = (logps * experience.batch.written).sum(-1)
    inputs["advantages"] = experience.advantages[:, 0]
    RLOOTrainer._compute_loss(trainer, trainer.model, inputs).backward()
    for weight, mine in zip(trainer.model.parameters(), gradient, strict=True):
        assert torch.allclose(weight.grad, mine, atol=1e-5)


def step_as(trainer: PolicyGradientTrainer, experience: Experience, estimator: Estimator) -> torch.Tensor:
    """The gradient of this exploration had the method been ``estimator``."""
    trainer.estimator = estimator
    mask = experience.batch.written.to(experience.advantages.dtype)
    weighted = replace(experience, weights=estimator.weights(mask, trainer.rl.max_completion_length))
    return torch.cat([part.flatten() for part in our_step(trainer, weighted)[1]])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (GSPO(3e-4, 4e-4, 0.04, 0, 1e-8), GRPO(0.2, 0.2, 0.04, 0, 1e-8)),
        (CISPO(1.0, 0.1, 0.0, 0, 1e-8), DAPO(0.2, 0.28, 0.0, 0, 1e-8, 1, 0.0, 0.0)),
    ],
    ids=["gspo-grpo", "cispo-dapo"],
)
def test_methods_that_share_a_run_have_the_same_gradient(
    folder: Path, tmp_path: Path, one: Estimator, other: Estimator
) -> None:
    """At one update per exploration, and at one only."""
    for updates in (1, 2):
        config = make_config("grpo")
        config.rl.updates_per_exploration = updates
        trainer, experience = explored(folder, tmp_path, config)
        first, second = step_as(trainer, experience, one), step_as(trainer, experience, other)
        assert first.abs().max() > 1e-2
        assert torch.allclose(first, second, rtol=0, atol=1e-13) == (updates == 1)


def test_rloo_without_kl_is_dr_grpo_up_to_a_factor(folder: Path, tmp_path: Path) -> None:
    """G/(G-1) from the baseline, the length limit from the weights: not one run, since clipping sees the factor."""
    config = make_config("dr_grpo")
    trainer, experience = explored(folder, tmp_path, config)
    group, limit = config.rl.group_size, config.rl.max_completion_length
    dr_grpo = step_as(trainer, experience, trainer.estimator)
    experience.advantages *= group / (group - 1)
    rloo = step_as(trainer, experience, RLOO(0.2, 0.2, 0.0, 0.0))
    assert torch.allclose(rloo, dr_grpo * limit * group / (group - 1), rtol=1e-10, atol=1e-13)
