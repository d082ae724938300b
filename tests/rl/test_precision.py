"""``base.dtype=bfloat16`` is the type of the products wherever a step computes: not only where TRL would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rl_world import make_config, make_model_folder, make_trainer

from dsm_repro.rl import llama
from dsm_repro.rl.preference.trainer import PreferenceTrainer
from dsm_repro.rl.trainer import PolicyGradientTrainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("sft") / "model")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_rollouts_reference_critic_and_update_compute_in_the_configured_type(
    folder: Path, tmp_path: Path, method: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(method)
    config.base.dtype = dtype
    trainer = make_trainer(folder, tmp_path, config, double=False)
    seen: dict[str, set[torch.dtype]] = {}

    def watch(name: str, module: Any) -> None:
        module.register_forward_hook(lambda _m, _i, output: seen.setdefault(name, set()).add(output.dtype))

    models = {"policy": trainer.model.model, "reference": trainer.reference.model}
    if trainer.critic is not None:
        models["critic"] = trainer.critic.backbone
    for name, body in models.items():
        watch(name, body.layers[0].self_attn.q_proj)
    lay_out = llama.lay_out

    def laid_out(*arguments: Any) -> Any:
        weights = lay_out(*arguments)
        seen.setdefault("rollouts", set()).add(weights.head.dtype)
        return weights

    monkeypatch.setattr(llama, "lay_out", laid_out)
    loss = trainer.training_step(trainer.model, None)
    assert seen == {name: {getattr(torch, dtype)} for name in (*models, "rollouts")}
    # sums over tokens, gradients and weights stay in float32
    assert loss.dtype == torch.float32
    assert {weight.grad.dtype for weight in trainer.model.parameters()} == {torch.float32}


def test_both_trainers_take_their_precision_from_accelerate() -> None:
    for trainer in (PolicyGradientTrainer, PreferenceTrainer):
        assert trainer.compute_loss_context_manager.__qualname__.startswith("Autocast.")
