"""Objectives against their definitions."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import featureconvex as fc
from featureconvex.training.losses import (
    SMALLEST_SLOPE,
    cross_entropy,
    jacobian_norm,
    signed_radius,
)


def _batch_jacobian(net: torch.nn.Module, u: torch.Tensor) -> torch.Tensor:
    rows = [torch.autograd.grad(logit, u, retain_graph=True)[0] for logit in net(u)]
    norm: torch.Tensor = torch.stack(rows).norm()
    return norm


def test_cross_entropy_is_torch_s() -> None:
    logits, labels = torch.randn(50), torch.randint(0, 2, (50,))
    expected = binary_cross_entropy_with_logits(logits, labels.float())
    torch.testing.assert_close(cross_entropy(logits, labels.float() * 2 - 1), expected)


@pytest.mark.parametrize("training", [True, False])
def test_random_signs_are_unbiased_for_the_squared_jacobian(training: bool) -> None:
    net = fc.nn.ConvexMLP(6, (8, 4), batch_norm=True).double().train(training)
    u = torch.randn(16, 6, dtype=torch.float64, requires_grad=True)
    exact = _batch_jacobian(net, u) ** 2
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([jacobian_norm(net(u), u, generator) ** 2 for _ in range(600)])
    # Rows that do not see each other make every draw exact.
    assert abs(draws.mean() - exact) < 4 * draws.std() / math.sqrt(len(draws)) + 1e-9 * exact


def test_summed_gradient_is_not_the_jacobian_under_batch_norm() -> None:
    """The trap: batch statistics couple the rows and the sum's gradient all but vanishes."""
    net = fc.nn.ConvexMLP(6, (1,), passthrough=False, batch_norm=True).double().train()
    u = torch.randn(64, 6, dtype=torch.float64, requires_grad=True)
    (summed,) = torch.autograd.grad(net(u).sum(), u)
    exact = _batch_jacobian(net, u)
    assert summed.norm() < 0.05 * exact
    estimate = jacobian_norm(net(u), u, torch.Generator().manual_seed(1))
    assert 0.3 * exact < estimate < 3 * exact


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_signed_radius_is_the_certificate(p: float) -> None:
    model = fc.FeatureConvexModel(
        fc.features.Scale(torch.rand(5) + 0.5), fc.nn.ConvexMLP(5, (8, 4)).double()
    )
    x, cost = torch.randn(40, 5, dtype=torch.float64), torch.rand(5, dtype=torch.float64) + 0.5
    u = model.feature_map(x).requires_grad_()
    radius = signed_radius(model.feature_map, u, model.convex_net(u), p, cost)
    certificate = fc.certify(model, x, fc.Lp(p, cost))
    positive = certificate.radius > 0
    assert positive.any()
    expected = torch.from_numpy(certificate.margin / (certificate.slope + SMALLEST_SLOPE))
    torch.testing.assert_close(radius, expected)
