"""What is maximised per token, and the KL term, against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dsm_repro.rl import objectives as o

D = torch.float64


def t(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=D)


def test_k3_by_hand_and_never_negative() -> None:
    # pi_theta = 1/2, pi_ref = 1/4: r = 1/2, 1/2 - log(1/2) - 1 = log 2 - 1/2
    assert o.k3(t(math.log(0.5)), t(math.log(0.25))).item() == pytest.approx(math.log(2) - 0.5)
    generator = torch.Generator().manual_seed(1)
    logps, ref_logps = -5 * torch.rand(2, 1000, dtype=D, generator=generator)
    assert (o.k3(logps, ref_logps) >= 0).all()
    assert o.k3(logps, logps).abs().max() == 0


def test_clipped_surrogate_by_hand() -> None:
    old, ratio = torch.zeros(1, 6, dtype=D), t(1.5, 1.5, 0.5, 0.5, 1.1, 0.9)[None].reshape(1, 6)
    advantage = t(1, -1, 1, -1, 2, 2).reshape(1, 6)
    value = o.clipped_surrogate(ratio.log(), old, advantage, 0.2)
    assert value[0].tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8, 2.2, 1.8])


def test_k3_keeps_its_precision_near_the_reference() -> None:
    """r = 1 + 1e-5: k3 = 1e-10 / 2, of which r - log r - 1 in float32 keeps nothing."""
    log_r = torch.tensor(1e-5)
    assert o.k3(torch.tensor(0.0), log_r).item() == pytest.approx(5e-11, rel=0.2)


def test_clip_higher_moves_the_upper_bound_alone() -> None:
    old, ratio = torch.zeros(1, 4, dtype=D), t([1.5, 1.5, 0.5, 0.5])
    advantage = t([1, -1, 1, -1])
    value = o.clipped_surrogate(ratio.log(), old, advantage, 0.2, 0.28)
    assert value[0].tolist() == pytest.approx([1.28, -1.5, 0.5, -0.8])


def test_sequence_surrogate_by_hand() -> None:
    """Token ratios 4 and 1 have the geometric mean 2; a masked token has no part in it."""
    logps = t([math.log(4), 0.0, 9.0], [math.log(1.1), 0.0, 0.0])
    mask = t([1, 1, 0], [1, 0, 0])
    value = o.sequence_surrogate(logps, torch.zeros_like(logps), t([1, 1, 1], [2, 2, 2]), mask, 0.5, 0.7)
    assert value[0].tolist() == pytest.approx([1.7] * 3)
    assert value[1].tolist() == pytest.approx([2.2] * 3)
    value = o.sequence_surrogate(logps, torch.zeros_like(logps), -t([1, 1, 1], [2, 2, 2]), mask, 0.5, 0.7)
    assert value[0].tolist() == pytest.approx([-2.0] * 3)


def test_gradient_of_the_sequence_ratio_is_shared_by_its_tokens() -> None:
    # s = 2 at |o| = 2: d s / d log pi_t = s / 2
    logps = t([math.log(4), 0.0, 0.0]).requires_grad_()
    mask = t([1, 1, 0])
    value = o.sequence_surrogate(logps, torch.zeros(1, 3, dtype=D), t([3, 3, 3]), mask, 5.0)
    (value * o.output_weights(mask)).sum().backward()
    assert logps.grad is not None and logps.grad[0].tolist() == pytest.approx([3, 3, 0])


def test_clipped_weight_surrogate_by_hand() -> None:
    """The weight is min(rho, 3) and has no gradient, so every token keeps the gradient weight times A."""
    logps, old = t([-1.0, -1.0, -1.0]), t([-1.0, -1.0 - math.log(2), -1.0 - math.log(10)])
    logps.requires_grad_()
    value = o.clipped_weight_surrogate(logps, old, t([1, -1, 2]), 2.0)
    assert value[0].tolist() == pytest.approx([-1, 2, -6])
    value.sum().backward()
    assert logps.grad is not None and logps.grad[0].tolist() == pytest.approx([1, -2, 6])


def test_a_ratio_above_the_bound_stops_the_gradient_of_the_clip_and_not_of_the_clipped_weight() -> None:
    for surrogate, gradient in ((o.clipped_surrogate, 0.0), (o.clipped_weight_surrogate, 1.2)):
        logps = t([math.log(1.5)]).requires_grad_()
        surrogate(logps, t([0.0]), t([1.0]), 0.2).sum().backward()
        assert logps.grad is not None and logps.grad.item() == pytest.approx(gradient)


def test_likelihood_by_hand() -> None:
    assert o.likelihood(t([-1.0, -2.0], [-3.0, -4.0]), t([1, 1], [0, 0])).tolist() == [[-1.0, -2.0], [0.0, 0.0]]
