"""What must not change a step, for every method: micro-batches, padding, the order of rows and of questions.

In float64 on the real trainer, at a second update, so that the ratio to the policy that sampled is not 1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import pytest
import torch
from rl_methods import TRAINED_HERE, steps_reward
from rl_world import make_config, make_model_folder, make_trainer

from dsm_repro.rl import accounting
from dsm_repro.rl.batch import Batch, completion_logps
from dsm_repro.rl.critic import accumulate
from dsm_repro.rl.estimators import Steps
from dsm_repro.rl.experience import Experience, Exploration, join_explorations, select
from dsm_repro.rl.trainer import PolicyGradientTrainer

GROUP = 4


@dataclass(frozen=True)
class World:
    """A trainer whose policy has left both the reference and the policy that sampled."""

    trainer: PolicyGradientTrainer
    found: Exploration
    experience: Experience
    #: (B, T) log-probabilities under the policy before it moved
    old_logps: torch.Tensor

    def step(
        self, rows: int = 3, experience: Experience | None = None, old_logps: torch.Tensor | None = None
    ) -> tuple[float, torch.Tensor]:
        """Loss and gradient of the second update, in micro-batches of ``rows``."""
        trainer, experience = self.trainer, experience or self.experience
        old = self.old_logps if old_logps is None else old_logps
        trainer.micro_batch = rows
        parts = trainer.processes.micro_batches(experience.batch, rows)
        by_part = [old[index, : part.completion_ids.shape[1]] for index, part in parts]
        trainer.model.zero_grad()
        loss = trainer.batch_loss(trainer.model, replace(experience, old_logps=by_part), torch.Tensor.backward)
        return loss.item(), torch.cat([weight.grad.flatten() for weight in trainer.model.parameters()])

    def explored(self, found: Exploration) -> Experience:
        """What the trainer makes of ``found``; the critic stands still."""
        explorer = self.trainer.explorer
        self.trainer.explorer = lambda model, number: found  # type: ignore[assignment]
        try:
            return self.trainer.explore(0)
        finally:
            self.trainer.explorer = explorer


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory):
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "model")

    @functools.cache
    def built(method: str) -> World:
        config = make_config(method)
        config.rl.group_size, config.rl.updates_per_exploration = GROUP, 2
        trainer = make_trainer(folder, tmp_path_factory.mktemp("scratch"), config)
        trainer.task = replace(trainer.task, reward=steps_reward)
        trainer.explorer.task = trainer.task
        trainer.explorer.eos_ids = list(range(1, 60))
        if trainer.regression is not None:
            generator = torch.Generator().manual_seed(0)
            torch.nn.init.normal_(trainer.regression.critic.head.weight, std=0.1, generator=generator)
            for group in trainer.regression.optimizer.param_groups:
                group["lr"] = 0.0
        _move(trainer.model, 0.02, 0)
        found = trainer.explorer(trainer.reference if trainer.estimator.offline else trainer.model, 0)
        experience = trainer.explore(0)
        with torch.no_grad():
            old_logps = completion_logps(trainer.model, experience.batch, config.rl.temperature)
        _move(trainer.model, 0.02, 1)
        assert experience.batch.lengths.unique().numel() > 1
        return World(trainer, found, experience, old_logps)

    return built


def _move(model: torch.nn.Module, distance: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += distance * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)


@pytest.fixture(params=TRAINED_HERE)
def world(request: pytest.FixtureRequest, build) -> World:
    return build(request.param)


def assert_same(one: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> None:
    assert one[0] == pytest.approx(other[0], abs=1e-13)
    assert one[1].abs().max() > 1e-4
    assert torch.allclose(one[1], other[1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7])
def test_micro_batches_do_not_change_the_step(world: World, rows: int) -> None:
    assert_same(world.step(rows), world.step(rows=100))


def test_padding_does_not_change_the_step(world: World) -> None:
    experience, extra = world.experience, 3
    batch = experience.batch

    def wider(values: torch.Tensor, fill: float = 0) -> torch.Tensor:
        return torch.nn.functional.pad(values, (0, extra), value=fill)

    wide = Batch(
        torch.nn.functional.pad(batch.prompt_ids, (5, 0), value=7),
        torch.nn.functional.pad(batch.prompt_mask, (5, 0)),
        batch.owner,
        wider(batch.completion_ids, 9),
        wider(batch.completion_mask),
        wider(batch.written),
    )
    padded = replace(
        experience,
        batch=wide,
        advantages=wider(experience.advantages, 4.0),
        weights=world.trainer.estimator.weights(wide.written.double(), 6),
        ref_logps=None if experience.ref_logps is None else wider(experience.ref_logps, -1.0),
    )
    assert_same(world.step(experience=padded, old_logps=wider(world.old_logps, -2.0)), world.step())
    one, other = (completion_logps(world.trainer.model, b, 1.0) for b in (wide, batch))
    assert torch.allclose(one[:, :-extra], other, rtol=0, atol=1e-12) and one[:, -extra:].abs().max() == 0


def test_the_order_of_rows_does_not_change_the_step(world: World) -> None:
    experience, batch = world.experience, world.experience.batch
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(5))
    shuffled = replace(
        experience,
        batch=Batch(
            batch.prompt_ids, batch.prompt_mask, batch.owner[order], batch.completion_ids[order],
            batch.completion_mask[order], batch.written[order],
        ),
        advantages=experience.advantages[order],
        weights=experience.weights[order],
        ref_logps=None if experience.ref_logps is None else experience.ref_logps[order],
    )  # fmt: skip
    assert_same(world.step(experience=shuffled, old_logps=world.old_logps[order]), world.step())


def test_the_order_of_questions_does_not_change_the_step(world: World) -> None:
    """From the rewards on: advantages, returns, weights and metrics are made anew."""
    found = world.found
    groups = list(range(len(found.batch.prompt_ids)))[::-1]
    turned = join_explorations([select(found, [group], GROUP) for group in groups], pad_id=0)
    rows = torch.tensor([group * GROUP + member for group in groups for member in range(GROUP)])
    _assert_same_step(world, replace(turned, metrics=found.metrics, flops=found.flops), rows)


def test_the_order_of_completions_in_a_group_does_not_change_the_step(world: World) -> None:
    found, batch = world.found, world.found.batch
    rows = torch.arange(len(batch)).view(-1, GROUP)[:, torch.tensor([2, 0, 3, 1])].flatten()
    steps, lengths = found.steps, found.lengths
    assert steps is not None
    turned = replace(
        found,
        batch=Batch(
            batch.prompt_ids, batch.prompt_mask, batch.owner, batch.completion_ids[rows], batch.completion_mask[rows],
            batch.written[rows],
        ),
        logps=found.logps[rows],
        rewards=found.rewards[rows],
        correct=found.correct[rows],
        steps=Steps([steps.rewards[row] for row in rows], [steps.ends[row] for row in rows]),
        lengths=accounting.Lengths(lengths.prompts, batch.lengths[rows].view(-1, GROUP).tolist()),
    )  # fmt: skip
    _assert_same_step(world, turned, rows)


def _assert_same_step(world: World, found: Exploration, rows: torch.Tensor) -> None:
    """``found`` is that of ``world`` with its rows in the order ``rows``."""
    one, other = world.explored(found), world.explored(world.found)
    assert torch.allclose(one.advantages, other.advantages[rows], rtol=0, atol=1e-13)
    assert one.metrics == pytest.approx(other.metrics, abs=1e-12)
    assert_same(
        world.step(experience=one, old_logps=world.old_logps[rows]),
        world.step(experience=other, old_logps=world.old_logps),
    )


def test_a_shared_prompt_is_scored_as_a_plain_forward_pass_does(build) -> None:
    """Row by row, unpadded, through the model's ordinary forward pass."""
    world = build("grpo")
    model, batch = world.trainer.model, world.experience.batch
    logps = completion_logps(model, batch, 0.7)
    for row in range(len(batch)):
        prompt = batch.prompt_ids[batch.owner[row]][batch.prompt_mask[batch.owner[row]].bool()]
        completion = batch.completion_ids[row][batch.completion_mask[row].bool()]
        logits = model(input_ids=torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1] / 0.7
        expected = logits.log_softmax(-1).gather(-1, completion[:, None])[:, 0]
        assert torch.allclose(logps[row, : len(completion)], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_micro_batches_do_not_change_what_the_critic_learns(build, rows: int) -> None:
    world = build("ppo")
    critic, results, values = world.trainer.critic, [], []

    def returns_of(index: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        return 1.0 + 0.5 * seen + index[:, None]

    for size in (100, rows):
        critic.zero_grad()
        value, _, loss = accumulate(critic, world.experience.batch, size, returns_of)
        values.append(value)
        results.append((loss.item(), torch.cat([weight.grad.flatten() for weight in critic.parameters()])))
    critic.zero_grad()
    assert torch.allclose(*values, rtol=0, atol=1e-13)
    assert_same(*results)
