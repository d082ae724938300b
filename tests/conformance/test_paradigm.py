"""Autograd of every loss against the gradient coefficients of the unified paradigm (§5.2.1, Appendix A.1)."""

from __future__ import annotations

import pytest
import torch
from rl_methods import TRAINED_HERE
from rl_world import make_config

from dsm_repro.rl import estimators
from dsm_repro.rl import objectives as o
from dsm_repro.rl.estimators import Estimator, Signals, Steps

D = torch.float64


def t(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=D)


def test_autograd_of_grpo_loss_is_the_gradient_coefficient_of_eq_21() -> None:
    generator = torch.Generator().manual_seed(3)
    logps = -torch.rand(4, 6, dtype=D, generator=generator)
    ref_logps = -torch.rand(4, 6, dtype=D, generator=generator)
    advantages = torch.randn(4, 6, dtype=D, generator=generator)
    lengths = torch.tensor([[6], [1], [3], [5]])
    mask = (torch.arange(6)[None] < lengths).to(D)
    logps.requires_grad_()
    o.grpo_loss(logps, logps.detach(), ref_logps, advantages, mask, epsilon=0.2, beta=0.04).backward()
    coefficient = o.gradient_coefficient(advantages, logps.detach(), ref_logps, 0.04)
    assert logps.grad is not None
    assert torch.allclose(logps.grad, -coefficient * mask / lengths / 4, atol=1e-15)


B, T, GROUP, LIMIT = 8, 5, 4, 6
MASK = (torch.arange(T)[None] < torch.tensor([5, 1, 3, 2, 4, 5, 2, 1])[:, None]).to(D)


def signals() -> Signals:
    """Two groups, rewards of all kinds; log-probabilities are 0 where nothing was written, as the trainer's are."""
    generator = torch.Generator().manual_seed(7)
    logps, ref_logps = (-torch.rand(B, T, dtype=D, generator=generator) * MASK for _ in range(2))
    rewards = torch.rand(B, dtype=D, generator=generator)
    steps = Steps([[float(r), 1.0] for r in rewards], [[0, int(n) - 1] for n in MASK.sum(-1)])
    return Signals(rewards, MASK, logps, ref_logps, GROUP, rewards > 0.4, LIMIT, steps)


def advantages_of(estimator: Estimator, given: Signals) -> torch.Tensor:
    values = torch.rand(B, T, dtype=D, generator=torch.Generator().manual_seed(8)) * MASK
    return estimator.advantages(given, values if estimator.needs_critic else None)


@pytest.mark.parametrize("method", TRAINED_HERE)
def test_autograd_of_every_method_is_minus_coefficient_times_weight(method: str) -> None:
    """At the first update of an exploration the factor of grad log pi is A, plus the KL term where the loss has it."""
    given = signals()
    estimator = estimators.build(make_config(method).rl)
    beta, advantages = estimator.loss_kl_coefficient, advantages_of(estimator, given)
    weights = estimator.weights(MASK, LIMIT)
    logps = given.logps.clone().requires_grad_()
    surrogate = estimator.surrogate(logps, logps.detach(), advantages, MASK)
    assert given.ref_logps is not None
    o.policy_loss(surrogate, weights, o.k3(logps, given.ref_logps), beta).backward()
    coefficient = o.gradient_coefficient(advantages, given.logps, given.ref_logps, beta)
    assert coefficient.abs().max() > 0.1 and logps.grad is not None
    assert torch.allclose(logps.grad, -coefficient * weights, atol=1e-15)


def test_coefficients_of_table_10_are_those_of_the_methods() -> None:
    given = signals()
    assert given.correct is not None and given.correct.any() and not given.correct.all()
    for method in ("rft", "online_rft"):
        advantages = advantages_of(estimators.build(make_config(method).rl), given)
        assert torch.equal(advantages, o.rft_coefficient(given.correct)[:, None] * MASK)
    # an output that is right has the coefficient of supervised fine-tuning
    assert torch.equal(advantages[given.correct], o.sft_coefficient(given.logps)[given.correct] * MASK[given.correct])
    ppo = estimators.build(make_config("ppo").rl)
    advantages = advantages_of(ppo, given)
    assert torch.equal(o.ppo_coefficient(advantages), advantages)


def test_supervised_fine_tuning_has_the_coefficient_one() -> None:
    logps = signals().logps.requires_grad_()
    o.policy_loss(logps, o.output_weights(MASK)).backward()
    assert logps.grad is not None
    assert torch.allclose(logps.grad, -o.sft_coefficient(logps) * o.output_weights(MASK))


def test_dpo_coefficient_by_hand_and_by_autograd() -> None:
    # log ratios log 2 and log 3 at beta 1: sigma(log 3 - log 2) = (3/2) / (1 + 3/2) = 3/5
    assert o.dpo_coefficient(t(2.0).log(), t(3.0).log(), 1.0).item() == pytest.approx(0.6)
    beta = 0.1
    given = signals()
    assert given.ref_logps is not None
    logps = given.logps.clone().requires_grad_()
    ratios = ((logps - given.ref_logps) * MASK).sum(-1)
    chosen, rejected = ratios[:4], ratios[4:]
    (-torch.nn.functional.logsigmoid(beta * (chosen - rejected))).sum().backward()
    coefficient = beta * o.dpo_coefficient(chosen, rejected, beta).detach()[:, None]
    assert logps.grad is not None
    assert torch.allclose(logps.grad[:4], -coefficient * MASK[:4])
    assert torch.allclose(logps.grad[4:], coefficient * MASK[4:])
