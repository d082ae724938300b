"""What must not change a step: micro-batches, padding, the order of rows, and whether a prompt is shared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rl_world import make_config, make_model_folder, make_trainer

from dsm_repro.rl.batch import Batch, completion_logps
from dsm_repro.rl.trainer import Experience, PolicyGradientTrainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module", params=["grpo", "ppo"])
def trainer(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory):
    config = make_config(request.param)
    return make_trainer(folder, tmp_path_factory.mktemp("scratch"), config)


@pytest.fixture(scope="module")
def experience(trainer: PolicyGradientTrainer) -> Experience:
    """An exploration with completions of several lengths, scored by a policy that has left the reference."""
    trainer.explorer.eos_ids = list(range(1, 60))
    with torch.no_grad():
        for number, weight in enumerate(trainer.model.parameters()):
            noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number), dtype=weight.dtype)
            weight += 0.02 * noise
    experience = trainer.explore(0)
    assert experience.batch.lengths.unique().numel() > 1
    return experience


def loss_and_gradient(trainer: PolicyGradientTrainer, experience: Experience) -> tuple[float, torch.Tensor]:
    trainer.model.zero_grad()
    loss = trainer.batch_loss(trainer.model, replace(experience, old_logps=[]), torch.Tensor.backward)
    gradient = torch.cat([weight.grad.flatten() for weight in trainer.model.parameters()])
    return loss.item(), gradient


def assert_same(one: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> None:
    assert one[0] == pytest.approx(other[0], abs=1e-13)
    assert one[1].abs().max() > 1e-3
    assert torch.allclose(one[1], other[1], atol=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7])
def test_micro_batches_do_not_change_the_step(trainer, experience, rows: int) -> None:
    trainer.micro_batch = 8
    whole = loss_and_gradient(trainer, experience)
    trainer.micro_batch = rows
    assert_same(loss_and_gradient(trainer, experience), whole)


def test_padding_does_not_change_the_step(trainer, experience) -> None:
    batch, extra = experience.batch, 3
    wide = Batch(
        torch.nn.functional.pad(batch.prompt_ids, (5, 0), value=7),
        torch.nn.functional.pad(batch.prompt_mask, (5, 0)),
        batch.owner,
        torch.nn.functional.pad(batch.completion_ids, (0, extra), value=9),
        torch.nn.functional.pad(batch.completion_mask, (0, extra)),
        torch.nn.functional.pad(batch.written, (0, extra)),
    )
    padded = replace(
        experience,
        batch=wide,
        advantages=torch.nn.functional.pad(experience.advantages, (0, extra), value=4.0),
        weights=trainer.estimator.weights(wide.written.double(), 6),
        ref_logps=torch.nn.functional.pad(experience.ref_logps, (0, extra), value=-1.0),
    )
    assert_same(loss_and_gradient(trainer, padded), loss_and_gradient(trainer, experience))
    one, other = (completion_logps(trainer.model, b, 1.0) for b in (wide, batch))
    assert torch.allclose(one[:, :-extra], other, atol=1e-12) and one[:, -extra:].abs().max() == 0


def test_the_order_of_rows_does_not_change_the_step(trainer, experience) -> None:
    order = torch.randperm(len(experience.batch), generator=torch.Generator().manual_seed(5))
    batch = experience.batch
    shuffled = replace(
        experience,
        batch=Batch(
            batch.prompt_ids, batch.prompt_mask, batch.owner[order], batch.completion_ids[order],
            batch.completion_mask[order], batch.written[order],
        ),
        advantages=experience.advantages[order],
        weights=experience.weights[order],
        ref_logps=experience.ref_logps[order],
    )  # fmt: skip
    assert_same(loss_and_gradient(trainer, shuffled), loss_and_gradient(trainer, experience))


def test_a_shared_prompt_is_scored_as_a_plain_forward_pass_does(trainer, experience) -> None:
    """Row by row, unpadded, through the model's ordinary forward pass."""
    batch = experience.batch
    logps = completion_logps(trainer.model, batch, 0.7)
    for row in range(len(batch)):
        prompt = batch.prompt_ids[batch.owner[row]][batch.prompt_mask[batch.owner[row]].bool()]
        completion = batch.completion_ids[row][batch.completion_mask[row].bool()]
        logits = trainer.model(input_ids=torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1] / 0.7
        expected = logits.log_softmax(-1).gather(-1, completion[:, None])[:, 0]
        assert torch.allclose(logps[row, : len(completion)], expected, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 3])
def test_micro_batches_do_not_change_advantages_and_returns(trainer, rows: int) -> None:
    if trainer.critic is None:
        pytest.skip("only a critic sees micro-batches before the advantages")
    from dsm_repro.rl.critic import accumulate

    torch.nn.init.normal_(trainer.critic.head.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    trainer.critic_optimizer.zero_grad()
    trainer.critic_optimizer.param_groups[0]["lr"] = trainer.critic_optimizer.param_groups[1]["lr"] = 0.0
    results = []
    for size in (8, rows):
        trainer.micro_batch = size
        seen = []

        def backward(loss: torch.Tensor, seen: list = seen) -> None:
            seen.append(loss.item())
            loss.backward()

        def returns_of(index: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return 1.0 + 0.5 * values

        _, _, loss = accumulate(trainer.critic, trainer.explore(0).batch, size, returns_of, backward)
        gradient = torch.cat([weight.grad.flatten() for weight in trainer.critic.parameters()])
        trainer.critic_optimizer.zero_grad()
        results.append((loss.item(), gradient))
        assert sum(seen) == pytest.approx(loss.item())
    assert_same(*results)
